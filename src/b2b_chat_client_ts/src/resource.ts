/** What the groups of operations are made of. */

import type { Connection } from "./connection.js";

/** A group of operations. */
export class Resource {
  constructor(protected readonly connection: Connection) {}
}
