// Keeps keys in this browser (IndexedDB): pending ones before their request leaves, then with their certificate.
//
// A record: { spki (hex, its key), copy, renewal, state: "pending" | "held", signing (CryptoKey, not extractable),
// kind ("EC" | "RSA"), sealed (the PKCS#8 under a key that only the server has), iv, der (certificate) }

const NAME = "xuqi";
const STORE = "keys";

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function opened() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "spki" });
  return asked(request);
}

async function within(mode, act) {
  const base = await opened();
  try {
    const transaction = base.transaction(STORE, mode, { durability: "strict" });
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
    const result = await asked(act(transaction.objectStore(STORE)));
    await done; // on the disk, not only promised
    return result;
  } finally {
    base.close();
  }
}

export const put = (record) => within("readwrite", (store) => store.put(record));
export const get = (spki) => within("readonly", (store) => store.get(spki));
export const all = () => within("readonly", (store) => store.getAll());
export const remove = (spki) => within("readwrite", (store) => store.delete(spki));

export async function ofRenewal(renewal) {
  return (await all()).find((record) => record.renewal === renewal);
}

// The browser may say no, and drop the data when the disk is short: the backup cannot be skipped for that.
export async function keepForGood() {
  return Boolean(await navigator.storage?.persist?.());
}
