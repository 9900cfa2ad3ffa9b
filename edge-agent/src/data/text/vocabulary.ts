import type { ByteSource } from '../byte-source.ts'
import { DataError } from '../data-error.ts'
import type { TextDeclaration } from '../declarations/text-declaration.ts'
import { linesOf } from '../table/lines.ts'
import { quote } from '../table/quote.ts'
import { tokensOf } from './tokens.ts'

const maxTokens = 2 ** 20

/** Ids of tokens, from 0. */
export type Vocabulary = {
  readonly ids: ReadonlyMap<string, number>
  readonly padding: number
  readonly unknown: number
}

type Special = Pick<TextDeclaration, 'padding' | 'unknown'>

/** One token a line, its id the number of the lines before it. Throws VOCABULARY_UNUSABLE. */
export const readVocabulary = async (source: ByteSource, special: Special): Promise<Vocabulary> => {
  const ids = new Map<string, number>()
  for await (const { text, line } of linesOf(source, 'VOCABULARY_UNUSABLE')) {
    const place = `${source.name}, line ${line}`
    if (text === '') throw unusable(`${place}: nothing is there; ids are numbers of lines, so no line may be empty`)
    if (ids.has(text)) throw unusable(`${place}: ${quote(text)} stands there a second time`)
    if (ids.size === maxTokens) throw unusable(`${source.name} has more than ${maxTokens} tokens`)
    ids.set(text, ids.size)
  }
  const idOf = (role: keyof Special): number => {
    const id = ids.get(special[role])
    if (id !== undefined) return id
    throw unusable(`${source.name} has no line ${quote(special[role])}; add it, or declare "${role}" as it is called`)
  }
  return { ids, padding: idOf('padding'), unknown: idOf('unknown') }
}

/**
 * The most frequent tokens, after padding and unknown; of equally frequent ones those first in the order of code units.
 * Tokens that were rare so far are forgotten when there are very many, so that memory is bounded.
 */
export const buildVocabulary = async (
  documents: AsyncIterable<string>,
  { mostFrequent, lowercase, ...special }: Special & { readonly mostFrequent: number; readonly lowercase: boolean },
): Promise<Vocabulary> => {
  const counts = new Map<string, number>()
  for await (const document of documents) {
    for (const token of tokensOf(document, { lowercase })) counts.set(token, (counts.get(token) ?? 0) + 1)
    for (let least = 1; counts.size > 2 * maxTokens; least *= 2)
      for (const [token, count] of counts) if (count <= least) counts.delete(token)
  }
  for (const token of [special.padding, special.unknown]) counts.delete(token)
  const ranked = [...counts].sort(([a, first], [b, second]) => second - first || (a < b ? -1 : 1))
  const tokens = [special.padding, special.unknown, ...ranked.slice(0, mostFrequent - 2).map(([token]) => token)]
  return { ids: new Map(tokens.map((token, id) => [token, id])), padding: 0, unknown: 1 }
}

/** Fills `target` with the ids of a document: cut, or filled up with padding. */
export const encodeDocument = (
  document: string,
  { ids, padding, unknown }: Vocabulary,
  options: { readonly lowercase: boolean },
  target: Float32Array,
): void => {
  let at = 0
  for (const token of tokensOf(document, options)) {
    if (at === target.length) return
    target[at++] = ids.get(token) ?? unknown
  }
  target.fill(padding, at)
}

const unusable = (what: string): DataError => new DataError('VOCABULARY_UNUSABLE', `${what}.`)
