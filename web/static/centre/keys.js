// Makes keys with WebCrypto and lets them sign: requests (PKCS #10), approvals (CMS), challenges.

import { bits, children, concat, hex, inside, int, nothing, octets, oid, read, seq, set, tlv } from "./der.js";

const SHA256 = seq(oid("2.16.840.1.101.3.4.2.1"));
const ALGORITHMS = {
  EC: { make: { name: "ECDSA", namedCurve: "P-256" }, sign: { name: "ECDSA", hash: "SHA-256" }, id: seq(oid("1.2.840.10045.4.3.2")) },
  RSA: {
    make: { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
    sign: { name: "RSASSA-PKCS1-v1_5" },
    id: seq(oid("1.2.840.113549.1.1.11"), nothing()),
  },
};
const RSA_ENCRYPTION = "1.2.840.113549.1.1.1";

export const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

// A new key: what signs cannot be taken out; the PKCS #8 beside it is sealed before anything is stored.
export async function newKey(kind) {
  const pair = await crypto.subtle.generateKey(ALGORITHMS[kind].make, true, ["sign", "verify"]);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  return { kind, pkcs8, spki, signing: await signingKey(kind, pkcs8) };
}

export const signingKey = (kind, pkcs8) => crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHMS[kind].make, false, ["sign"]);

export const kindOf = (spki) => {
  const [algorithm] = children(read(spki));
  return hex(children(algorithm)[0].raw) === hex(oid(RSA_ENCRYPTION)) ? "RSA" : "EC";
};

// WebCrypto's ECDSA is r and s side by side; certificates want them in DER (RFC 3279, 2.2.3).
export async function sign(kind, key, bytes) {
  const raw = new Uint8Array(await crypto.subtle.sign(ALGORITHMS[kind].sign, key, bytes));
  if (kind === "RSA") return raw;
  return seq(int(raw.subarray(0, raw.length / 2)), int(raw.subarray(raw.length / 2)));
}

// PKCS #10 (RFC 2986) with an empty subject: the name comes from the bank's record.
export async function request({ kind, signing, spkiDer }) {
  const info = seq(int(0), seq(), spkiDer, inside(0));
  return seq(info, ALGORITHMS[kind].id, bits(await sign(kind, signing, info)));
}

// What the present key approves: this renewal, the server's challenge and the new key's request, and nothing else.
export async function confirmation(renewal, challenge, request) {
  const text = `Xuqi: this key asks for its successor (v1)\nrenewal ${renewal}\nchallenge ${hex(challenge)}\nrequest sha256 ${hex(await sha256(request))}\n`;
  return new TextEncoder().encode(text);
}

// CMS SignedData (RFC 5652), detached and without certificates: the present key approves the content.
export async function approval({ kind, signing, der }, content) {
  const { issuer, serial } = partsOf(der);
  const attribute = (id, value) => seq(oid(id), set(value));
  const attributes = [
    attribute("1.2.840.113549.1.9.3", oid("1.2.840.113549.1.7.1")),
    attribute("1.2.840.113549.1.9.4", octets(await sha256(content))),
    attribute("1.2.840.113549.1.9.16.2.47", seq(seq(seq(octets(await sha256(der)))))), // RFC 5035
  ];
  const asSet = set(...attributes);
  const signature = await sign(kind, signing, asSet);
  const tagged = concat(Uint8Array.of(0xa0), asSet.subarray(1));
  const signer = seq(int(1), seq(issuer, serial), SHA256, tagged, ALGORITHMS[kind].id, octets(signature));
  const signed = seq(int(1), tlv(0x31, SHA256), seq(oid("1.2.840.113549.1.7.1")), tlv(0x31, signer));
  return seq(oid("1.2.840.113549.1.7.2"), inside(0, signed));
}

// The parts of a certificate (RFC 5280, 4.1) that this program looks at.
export function partsOf(der) {
  const [tbs] = children(read(der));
  const fields = children(tbs);
  const first = fields[0].tag === 0xa0 ? 1 : 0;
  return { serial: fields[first].raw, issuer: fields[first + 2].raw, spki: fields[first + 5].raw };
}

// Seals a PKCS #8 under a fresh key that goes to the server and stays nowhere else.
export async function sealed(pkcs8) {
  const opener = crypto.getRandomValues(new Uint8Array(32));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const key = await crypto.subtle.importKey("raw", opener, "AES-GCM", false, ["encrypt"]);
  return { opener, iv, sealed: new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, pkcs8)) };
}

export async function unsealed(record, opener) {
  const key = await crypto.subtle.importKey("raw", opener, "AES-GCM", false, ["decrypt"]);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: record.iv }, key, record.sealed));
}

export const newCopy = () => hex(crypto.getRandomValues(new Uint8Array(16)));

// How the other devices of a customer are told apart; no more than the browser says to everybody.
export function deviceName() {
  const brands = navigator.userAgentData?.brands?.map((brand) => brand.brand) ?? [];
  const browser = ["Microsoft Edge", "Google Chrome", "Chromium"].find((name) => brands.includes(name)) ?? "Browser";
  return `${browser}・${navigator.userAgentData?.platform || navigator.platform || "?"}`.slice(0, 80);
}

// The public key of a PKCS #8, as a certificate has it.
export async function spkiOf(pkcs8) {
  const kind = hex(children(children(read(pkcs8))[1])[0].raw) === hex(oid(RSA_ENCRYPTION)) ? "RSA" : "EC";
  const whole = await crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHMS[kind].make, true, ["sign"]);
  const jwk = await crypto.subtle.exportKey("jwk", whole);
  const { d, p, q, dp, dq, qi, ...open } = jwk;
  const key = await crypto.subtle.importKey("jwk", { ...open, key_ops: ["verify"] }, ALGORITHMS[kind].make, true, ["verify"]);
  return new Uint8Array(await crypto.subtle.exportKey("spki", key));
}
