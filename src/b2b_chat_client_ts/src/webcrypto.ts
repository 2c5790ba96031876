/** The Web Crypto API: a global of browsers, Deno and Node 20, and a module of Node 18. */

const MODULE: string = "node:crypto";

export const webcrypto: Crypto =
  globalThis.crypto ?? ((await import(MODULE)) as { webcrypto: Crypto }).webcrypto;
