/** Lists that are fetched page by page while they are read. */

import type { Call, CallOptions, Connection } from "./connection.js";

/** Some items of a list, and where the next page starts. */
export interface Page<Item> {
  items: Item[];
  /** To be given as `cursor`; null on the last page. */
  next_cursor: string | null;
}

/** All items of a list: iterate over it, or over its pages. */
export class Listing<Item> implements AsyncIterable<Item> {
  constructor(
    private readonly connection: Connection,
    private readonly first: Call,
    private readonly options: CallOptions = {},
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) yield* page.items;
  }

  /** Yield the pages; `next_cursor` of one, given as `cursor`, goes on after it another day. */
  async *pages(): AsyncGenerator<Page<Item>, void, undefined> {
    let call: Call | undefined = this.first;
    while (call !== undefined) {
      const page: Page<Item> = await this.connection.call<Page<Item>>(call, this.options);
      yield page;
      call = page.next_cursor
        ? { ...this.first, query: { ...this.first.query, cursor: page.next_cursor } }
        : undefined;
    }
  }
}
