/** Words and numbers, and every other visible character by itself. */
const token = /[\p{L}\p{N}\p{M}]+|[^\s\p{L}\p{N}\p{M}]/gu

/** The tokens of a document, in their order; composed characters are one (Unicode NFC). */
export function* tokensOf(document: string, { lowercase }: { readonly lowercase: boolean }): Generator<string> {
  const text = document.normalize('NFC')
  for (const [found] of (lowercase ? text.toLowerCase() : text).matchAll(token)) yield found
}
