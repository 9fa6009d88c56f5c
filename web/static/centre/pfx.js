// Writes and reads backup files (PKCS #12, RFC 7292): AES-256 today, 3DES for old systems, and what others write.

import { sha1 } from "../vendor/noble/legacy.js";
import { sha256, sha384, sha512 } from "../vendor/noble/sha2.js";
import { BadEncoding, children, concat, inside, int, intOf, nothing, octets, octetsOf, oid, oidOf, plainInside, read, same, seq, set, tlv, utf16 } from "./der.js";
import { partsOf } from "./keys.js";
import { cbcDecrypt, cbcEncrypt, rc2, tripleDes } from "./oldciphers.js";

const DATA = "1.2.840.113549.1.7.1";
const ENCRYPTED = "1.2.840.113549.1.7.6";
const BAGS = "1.2.840.113549.1.12.10.1.";
const PBE = "1.2.840.113549.1.12.1.";
const PBES2 = "1.2.840.113549.1.5.13";
const PBKDF2 = "1.2.840.113549.1.5.12";
const HMAC = "1.2.840.113549.2.";
const AES256 = "2.16.840.1.101.3.4.1.42";
const DIGESTS = { "1.3.14.3.2.26": sha1, "2.16.840.1.101.3.4.2.1": sha256, "2.16.840.1.101.3.4.2.2": sha384, "2.16.840.1.101.3.4.2.3": sha512 };
const HMACS = { 7: "SHA-1", 9: "SHA-256", 10: "SHA-384", 11: "SHA-512" };
const ROUNDS = 100_000; // OWASP names more for a server's passwords; a customer waits for this in the page
const OLD_ROUNDS = 2048;
const MOST_ROUNDS = 5_000_000; // a file that asks for more wants to stop the page

// A wrong password and a damaged file cannot be told apart.
export class CannotOpen extends Error {}

const random = (count) => crypto.getRandomValues(new Uint8Array(count));

// --- deriving keys

// RFC 7292, B.2; purpose: 1 key, 2 initial value, 3 MAC.
export function derived(hash, password, salt, rounds, purpose, size) {
  const [u, v] = [hash.outputLen, hash.blockLen];
  const filled = (bytes) => Uint8Array.from({ length: v * Math.ceil(bytes.length / v) }, (_, at) => bytes[at % bytes.length]);
  const long = concat(filled(salt), filled(password));
  const start = new Uint8Array(v).fill(purpose);
  const found = [];
  for (let made = 0; made < size; made += u) {
    let block = hash(concat(start, long));
    for (let round = 1; round < rounds; round += 1) block = hash(block);
    found.push(block);
    const added = filled(block).subarray(0, v);
    for (let at = 0; at < long.length; at += v) addOne(long, at, added);
  }
  return concat(...found).subarray(0, size);
}

// long[at..] = long[at..] + added + 1, modulo 2^(8v)
function addOne(long, from, added) {
  let carry = 1;
  for (let at = added.length - 1; at >= 0; at -= 1) {
    carry += long[from + at] + added[at];
    long[from + at] = carry & 255;
    carry >>>= 8;
  }
}

const asUtf16 = (password) => concat(utf16(password), Uint8Array.of(0, 0));

async function stretched(password, salt, rounds, hash, size) {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", salt, iterations: rounds, hash }, key, size * 8));
}

function hmac(hash, key, bytes) {
  const block = new Uint8Array(hash.blockLen);
  block.set(key.length > hash.blockLen ? hash(key) : key);
  return hash(concat(block.map((byte) => byte ^ 0x5c), hash(concat(block.map((byte) => byte ^ 0x36), bytes))));
}

// --- writing

// profile: "standard" (AES-256, SHA-256) or "old" (3DES, SHA-1)
export async function write({ pkcs8, der, name, password, profile }) {
  const seal = profile === "old" ? sealOld : sealStandard;
  const id = sha1(partsOf(der).spki);
  const attributes = set(
    seq(oid("1.2.840.113549.1.9.20"), set(tlv(0x1e, utf16(name)))),
    seq(oid("1.2.840.113549.1.9.21"), set(octets(id))),
  );
  const bag = (kind, value) => seq(oid(BAGS + kind), inside(0, value), attributes);
  const certificates = seq(bag(3, seq(oid("1.2.840.113549.1.9.22.1"), inside(0, octets(der)))));
  const [how, encrypted] = await seal(certificates, password);
  const [keyHow, keyEncrypted] = await seal(pkcs8, password);
  const safe = seq(
    seq(oid(ENCRYPTED), inside(0, seq(int(0), seq(oid(DATA), how, plainInside(0, encrypted))))),
    seq(oid(DATA), inside(0, octets(seq(bag(2, seq(keyHow, octets(keyEncrypted))))))),
  );
  return seq(int(3), seq(oid(DATA), inside(0, octets(safe))), mac(safe, password, profile));
}

function mac(safe, password, profile) {
  const old = profile === "old";
  const [hash, id, rounds] = old ? [sha1, "1.3.14.3.2.26", OLD_ROUNDS] : [sha256, "2.16.840.1.101.3.4.2.1", ROUNDS];
  const salt = random(16);
  const key = derived(hash, asUtf16(password), salt, rounds, 3, hash.outputLen);
  return seq(seq(seq(oid(id), nothing()), octets(hmac(hash, key, safe))), octets(salt), int(rounds));
}

async function sealStandard(bytes, password) {
  const [salt, iv] = [random(16), random(16)];
  const raw = await stretched(new TextEncoder().encode(password), salt, ROUNDS, "SHA-256", 32);
  const key = await crypto.subtle.importKey("raw", raw, "AES-CBC", false, ["encrypt"]);
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, bytes));
  const kdf = seq(oid(PBKDF2), seq(octets(salt), int(ROUNDS), int(32), seq(oid(HMAC + 9), nothing())));
  return [seq(oid(PBES2), seq(kdf, seq(oid(AES256), octets(iv)))), encrypted];
}

async function sealOld(bytes, password) {
  const salt = random(8);
  const text = asUtf16(password);
  const cipher = tripleDes(derived(sha1, text, salt, OLD_ROUNDS, 1, 24));
  const iv = derived(sha1, text, salt, OLD_ROUNDS, 2, 8);
  return [seq(oid(`${PBE}3`), seq(octets(salt), int(OLD_ROUNDS))), cbcEncrypt(cipher, iv, bytes)];
}

// --- reading

// Returns { pkcs8, der }: the first key of the file, and the certificate that belongs to it.
export async function open(file, password, spkiOf) {
  try {
    const [, content, macData] = children(read(file));
    const safe = contentOf(content);
    if (macData) checkMac(macData, safe, password);
    const bags = [];
    for (const part of children(read(safe))) bags.push(...(await bagsOf(part, password)));
    return await matched(bags, spkiOf);
  } catch (error) {
    if (error instanceof CannotOpen) throw error;
    throw new CannotOpen(error.message);
  }
}

const contentOf = (info) => octetsOf(children(children(info)[1])[0]);

function checkMac(macData, safe, password) {
  const [info, salt, count] = children(macData);
  const [algorithm, digest] = children(info);
  const hash = DIGESTS[oidOf(children(algorithm)[0])];
  const rounds = bounded(count ? intOf(count) : 1);
  if (!hash) throw new CannotOpen("MAC");
  const key = derived(hash, asUtf16(password), octetsOf(salt), rounds, 3, hash.outputLen);
  if (!same(hmac(hash, key, safe), octetsOf(digest))) throw new CannotOpen("MAC");
}

function bounded(rounds) {
  if (rounds < 1 || rounds > MOST_ROUNDS) throw new CannotOpen("rounds");
  return rounds;
}

async function bagsOf(part, password) {
  const [type, content] = children(part);
  let safe;
  if (oidOf(type) === DATA) safe = octetsOf(children(content)[0]);
  else if (oidOf(type) === ENCRYPTED) {
    const [, how, encrypted] = children(children(children(content)[0])[1]);
    const bytes = encrypted.tag & 0x20 ? concat(...children(encrypted).map(octetsOf)) : encrypted.value;
    safe = await opened(how, bytes, password);
  } else throw new BadEncoding("content");
  const found = [];
  for (const bag of children(read(safe))) found.push(...(await bagOf(bag, password)));
  return found;
}

async function bagOf(bag, password) {
  const [type, value] = children(bag);
  const kind = oidOf(type);
  const inner = children(value)[0];
  if (kind === `${BAGS}1`) return [{ pkcs8: inner.raw }];
  if (kind === `${BAGS}2`) {
    const [how, encrypted] = children(inner);
    return [{ pkcs8: await opened(how, octetsOf(encrypted), password) }];
  }
  if (kind === `${BAGS}3`) return [{ der: octetsOf(children(children(inner)[1])[0]) }];
  return []; // a CRL or a secret: nothing for us
}

async function opened(how, encrypted, password) {
  const [id, parameters] = children(how);
  const kind = oidOf(id);
  if (kind === PBES2) return openedByPbes2(parameters, encrypted, password);
  if (!kind.startsWith(PBE)) throw new CannotOpen(kind);
  const [salt, count] = children(parameters);
  const made = (purpose, size) => derived(sha1, asUtf16(password), octetsOf(salt), bounded(intOf(count)), purpose, size);
  const ciphers = { 3: [24, tripleDes], 4: [16, tripleDes], 5: [16, (key) => rc2(key, 128)], 6: [5, (key) => rc2(key, 40)] };
  const [size, cipher] = ciphers[kind.slice(PBE.length)] ?? [];
  if (!size) throw new CannotOpen(kind);
  return cbcDecrypt(cipher(made(1, size)), made(2, 8), encrypted);
}

async function openedByPbes2(parameters, encrypted, password) {
  const [kdf, scheme] = children(parameters);
  const [salt, count, ...rest] = children(children(kdf)[1]);
  const prf = rest.find((node) => node.tag === 0x30);
  const hash = HMACS[prf ? oidOf(children(prf)[0]).slice(HMAC.length) : 7];
  const [cipher, iv] = children(scheme);
  const size = { "2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, [AES256]: 32, "1.2.840.113549.3.7": 24 }[oidOf(cipher)];
  if (oidOf(children(kdf)[0]) !== PBKDF2 || !hash || !size) throw new CannotOpen("PBES2");
  const raw = await stretched(new TextEncoder().encode(password), octetsOf(salt), bounded(intOf(count)), hash, size);
  if (oidOf(cipher) === "1.2.840.113549.3.7") return cbcDecrypt(tripleDes(raw), octetsOf(iv), encrypted);
  const key = await crypto.subtle.importKey("raw", raw, "AES-CBC", false, ["decrypt"]);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv: octetsOf(iv) }, key, encrypted));
}

async function matched(bags, spkiOf) {
  const key = bags.find((bag) => bag.pkcs8);
  if (!key) throw new CannotOpen("no key");
  const spki = await spkiOf(key.pkcs8);
  const fitting = bags.find((bag) => bag.der && same(partsOf(bag.der).spki, spki));
  if (!fitting) throw new CannotOpen("no certificate of this key");
  return { pkcs8: key.pkcs8, der: fitting.der, spki };
}
