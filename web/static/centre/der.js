// Writes DER (X.690), and reads it and the BER that other programs put into backup files.

export const concat = (...parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
};
export const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);
export const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const base64 = (bytes) => btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(""));
export const unbase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// --- writing

function length(count) {
  if (count < 0x80) return [count];
  const bytes = [];
  for (let rest = count; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return [0x80 | bytes.length, ...bytes];
}
export const tlv = (tag, ...parts) => {
  const value = concat(...parts);
  return concat(Uint8Array.of(tag, ...length(value.length)), value);
};
export const seq = (...parts) => tlv(0x30, ...parts);
export const set = (...parts) => tlv(0x31, ...parts.sort(byBytes)); // DER: in the order of their encodings
export const octets = (bytes) => tlv(0x04, bytes);
export const bits = (bytes) => tlv(0x03, Uint8Array.of(0), bytes);
export const nothing = () => Uint8Array.of(0x05, 0);
export const inside = (number, ...parts) => tlv(0xa0 | number, ...parts); // [number], constructed
export const plainInside = (number, bytes) => tlv(0x80 | number, bytes);

function byBytes(one, other) {
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) if (one[at] !== other[at]) return one[at] - other[at];
  return one.length - other.length;
}

export function int(value) {
  let bytes = value;
  if (typeof value === "number") {
    const digits = [];
    for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
    bytes = Uint8Array.from(digits.length ? digits : [0]);
  }
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from += 1;
  const short = bytes.subarray(from);
  return tlv(0x02, short[0] & 0x80 ? concat(Uint8Array.of(0), short) : short);
}

export function oid(dotted) {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const seven = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) seven.unshift(0x80 | (left & 0x7f));
    bytes.push(...seven);
  }
  return tlv(0x06, Uint8Array.from(bytes));
}

// UTF-16, big-endian: as PKCS #12 writes names and passwords (RFC 7292, B.1)
export function utf16(text) {
  const bytes = new Uint8Array(text.length * 2);
  for (let at = 0; at < text.length; at += 1) {
    bytes[at * 2] = text.charCodeAt(at) >>> 8;
    bytes[at * 2 + 1] = text.charCodeAt(at) & 0xff;
  }
  return bytes;
}

// --- reading

export class BadEncoding extends Error {}

// One element at a place; indefinite lengths (BER) are read too: NSS and old Windows write them.
export function read(bytes, from = 0, depth = 0) {
  if (depth > 40 || from + 2 > bytes.length) throw new BadEncoding("truncated");
  const tag = bytes[from];
  let at = from + 2;
  let count = bytes[from + 1];
  if (count === 0x80) return readIndefinite(bytes, from, depth);
  if (count > 0x80) {
    const digits = count & 0x7f;
    if (digits > 4 || at + digits > bytes.length) throw new BadEncoding("length");
    count = 0;
    for (let digit = 0; digit < digits; digit += 1) count = count * 256 + bytes[at + digit];
    at += digits;
  }
  if (at + count > bytes.length) throw new BadEncoding("truncated");
  return { tag, value: bytes.subarray(at, at + count), raw: bytes.subarray(from, at + count), end: at + count, depth };
}

function readIndefinite(bytes, from, depth) {
  let at = from + 2;
  while (!(bytes[at] === 0 && bytes[at + 1] === 0)) at = read(bytes, at, depth + 1).end;
  return { tag: bytes[from], value: bytes.subarray(from + 2, at), raw: bytes.subarray(from, at + 2), end: at + 2, depth };
}

export function children(node) {
  const found = [];
  for (let at = 0; at < node.value.length;) {
    const child = read(node.value, at, node.depth + 1);
    found.push(child);
    at = child.end;
  }
  return found;
}

// The bytes of an OCTET STRING, in one piece or (BER) in several.
export function octetsOf(node) {
  return node.tag & 0x20 ? concat(...children(node).map(octetsOf)) : node.value;
}

export function oidOf(node) {
  const arcs = [];
  let arc = 0;
  for (const byte of node.value) {
    arc = arc * 128 + (byte & 0x7f);
    if (!(byte & 0x80)) { arcs.push(arc); arc = 0; }
  }
  const first = Math.min(2, Math.floor(arcs[0] / 40));
  return [first, arcs[0] - first * 40, ...arcs.slice(1)].join(".");
}

export const intOf = (node) => node.value.reduce((sum, byte) => sum * 256 + byte, 0);
