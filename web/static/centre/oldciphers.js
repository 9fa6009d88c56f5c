// 3DES and RC2 in CBC mode: for backup files of older systems, which WebCrypto cannot read or write.

import { BadEncoding } from "./der.js";

// --- DES (FIPS 46-3), on arrays of bits

const IP = table(64, (at) => 58 - 8 * (at % 8) + 2 * (Math.floor(at / 8) % 4) - (at < 32 ? 0 : 1));
const FP = IP.reduce((found, from, to) => { found[from - 1] = to + 1; return found; }, []);
const E = table(48, (at) => ((Math.floor(at / 6) * 4 + (at % 6) + 31) % 32) + 1);
const P = [16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25];
const PC1 = [57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4];
const PC2 = [14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32];
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
const S = [
  "e4d12fb83a6c5907 0f74e2d1a6cb9538 41e8d62bfc973a50 fc8249175b3ea06d",
  "f18e6b34972dc05a 3d47f28ec01a69b5 0e7ba4d158c6932f d8a13f42b67c05e9",
  "a09e63f51dc7b428 d709346a285ecbf1 d6498f30b12c5ae7 1ad069874fe3b52c",
  "7de3069a1285bc4f d8b56f03472c1ae9 a690cb7df13e5284 3f06a1d8945bc72e",
  "2c417ab6853fd0e9 eb2c47d150fa3986 421bad78f9c5630e b8c71e2d6f09a453",
  "c1af92680d34e75b af427c9561de0b38 9ef528c3704a1db6 432c95fabe17608d",
  "4b2ef08d3c975a61 d0b7491ae35c2f86 14bdc37eaf680592 6bd814a7950fe23c",
  "d2846fb1a93e50c7 1fd8a374c56b0e92 7b419ce206adf358 21e74a8dfc90356b",
].map((rows) => [...rows.replaceAll(" ", "")].map((digit) => parseInt(digit, 16)));

function table(size, entry) { return Array.from({ length: size }, (_, at) => entry(at)); }
const permuted = (from, by) => by.map((place) => from[place - 1]);
const toBits = (bytes) => [...bytes].flatMap((byte) => table(8, (at) => (byte >>> (7 - at)) & 1));
const toBytes = (of) => Uint8Array.from(table(of.length / 8, (at) => parseInt(of.slice(at * 8, at * 8 + 8).join(""), 2)));

function schedule(key) {
  let halves = permuted(toBits(key), PC1);
  return SHIFTS.map((by) => {
    const [left, right] = [halves.slice(0, 28), halves.slice(28)];
    halves = [...left.slice(by), ...left.slice(0, by), ...right.slice(by), ...right.slice(0, by)];
    return permuted(halves, PC2);
  });
}

function round(right, key) {
  const mixed = permuted(right, E).map((bit, at) => bit ^ key[at]);
  const substituted = S.flatMap((box, at) => {
    const [a, b, c, d, e, f] = mixed.slice(at * 6, at * 6 + 6);
    const value = box[((a << 1) | f) * 16 + ((b << 3) | (c << 2) | (d << 1) | e)];
    return [value >>> 3, (value >>> 2) & 1, (value >>> 1) & 1, value & 1];
  });
  return permuted(substituted, P);
}

function des(block, keys) {
  const mixed = permuted(toBits(block), IP);
  let [left, right] = [mixed.slice(0, 32), mixed.slice(32)];
  for (const key of keys) {
    const turned = round(right, key);
    [left, right] = [right, left.map((bit, at) => bit ^ turned[at])];
  }
  return toBytes(permuted([...right, ...left], FP));
}

export function tripleDes(key) {
  const parts = [key.subarray(0, 8), key.subarray(8, 16), key.length === 24 ? key.subarray(16) : key.subarray(0, 8)].map(schedule);
  const back = (keys) => [...keys].reverse();
  return {
    encrypt: (block) => des(des(des(block, parts[0]), back(parts[1])), parts[2]),
    decrypt: (block) => des(des(des(block, back(parts[2])), parts[1]), back(parts[0])),
  };
}

// --- RC2 (RFC 2268), for reading alone

const PITABLE = Uint8Array.from(
  ("d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82" +
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb6266fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7" +
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731" +
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad").match(/../g),
  (pair) => parseInt(pair, 16),
);

export function rc2(key, bitsOfKey) {
  const long = new Uint8Array(128);
  long.set(key);
  for (let at = key.length; at < 128; at += 1) long[at] = PITABLE[(long[at - 1] + long[at - key.length]) & 255];
  const bytes = Math.ceil(bitsOfKey / 8);
  long[128 - bytes] = PITABLE[long[128 - bytes] & (255 >>> (8 * bytes - bitsOfKey))];
  for (let at = 127 - bytes; at >= 0; at -= 1) long[at] = PITABLE[long[at + 1] ^ long[at + bytes]];
  const words = table(64, (at) => long[at * 2] | (long[at * 2 + 1] << 8));
  return { decrypt: (block) => unmixed(block, words) };
}

function unmixed(block, words) {
  const r = table(4, (at) => block[at * 2] | (block[at * 2 + 1] << 8));
  const turns = [1, 2, 3, 5];
  let next = 63;
  const unmix = () => {
    for (let at = 3; at >= 0; at -= 1, next -= 1) {
      const turned = ((r[at] >>> turns[at]) | (r[at] << (16 - turns[at]))) & 0xffff;
      const [one, two, three] = [r[(at + 3) & 3], r[(at + 2) & 3], r[(at + 1) & 3]];
      r[at] = (turned - words[next] - (one & two) - (~one & 0xffff & three)) & 0xffff;
    }
  };
  const unmash = () => { for (let at = 3; at >= 0; at -= 1) r[at] = (r[at] - words[r[(at + 3) & 3] & 63]) & 0xffff; };
  for (const count of [5, 6, 5]) {
    for (let turn = 0; turn < count; turn += 1) unmix();
    if (next > 0) unmash();
  }
  return Uint8Array.from(r.flatMap((word) => [word & 255, word >>> 8]));
}

// --- CBC with the padding of PKCS #7

export function cbcEncrypt(cipher, iv, bytes) {
  const padding = 8 - (bytes.length % 8);
  const padded = new Uint8Array(bytes.length + padding).fill(padding);
  padded.set(bytes);
  let before = iv;
  for (let at = 0; at < padded.length; at += 8) {
    before = cipher.encrypt(padded.subarray(at, at + 8).map((byte, place) => byte ^ before[place]));
    padded.set(before, at);
  }
  return padded;
}

export function cbcDecrypt(cipher, iv, bytes) {
  if (bytes.length === 0 || bytes.length % 8) throw new BadEncoding("blocks");
  const plain = new Uint8Array(bytes.length);
  let before = iv;
  for (let at = 0; at < bytes.length; at += 8) {
    const block = bytes.subarray(at, at + 8);
    plain.set(cipher.decrypt(block).map((byte, place) => byte ^ before[place]), at);
    before = block;
  }
  const padding = plain[plain.length - 1];
  if (padding < 1 || padding > 8 || !plain.subarray(-padding).every((byte) => byte === padding)) throw new BadEncoding("padding");
  return plain.subarray(0, -padding);
}
