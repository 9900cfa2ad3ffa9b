import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readDeclared } from '../../testing/data-folder.ts'
import { tokensOf } from './tokens.ts'

const vocabulary = '[PAD]\n[UNK]\nthe\ncat\nsat\n.\n'
const declaration = { format: 'text', vocabulary: { file: 'words.txt' }, length: 5 }
const lines = { ...declaration, file: 'x.txt', labels: 'y.txt', classes: ['bad', 'good'] }
const read = (text: string, labels: string, options: Record<string, unknown> = {}, words = vocabulary) =>
  readDeclared({ ...lines, ...options }, { 'x.txt': text, 'y.txt': labels, 'words.txt': words })

suite('texts', () => {
  test('tokens are words, numbers and signs', () => {
    assert.deepEqual(
      [...tokensOf("It's 2 o'clock – naïve, Größe!", { lowercase: true })],
      [...['it', "'", 's', '2', 'o', "'", 'clock', '–', 'naïve', ',', 'größe', '!']],
    )
    assert.deepEqual([...tokensOf('Cafe\u0301', { lowercase: false })], ['Café'])
  })

  test('documents become ids of one length: cut, or filled up', async () => {
    const { examples, features, labels } = await read('The cat sat.\nThe the the the the cat\n\n', 'good\nbad\ngood')
    assert.equal(examples, 3)
    assert.deepEqual(features, Float32Array.of(2, 3, 4, 5, 0, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0))
    assert.deepEqual(labels, Int32Array.of(1, 0, 1))
  })

  test('what the vocabulary lacks is unknown', async () => {
    const { features } = await read('a dog sat', 'good')
    assert.deepEqual(features, Float32Array.of(1, 1, 4, 0, 0))
  })

  test('a vocabulary of the most frequent tokens, ties in the order of their code units', async () => {
    const { features } = await read('b a b c c b\na d', 'bad\nbad', { vocabulary: { mostFrequent: 4 } })
    // b: 3; a, c: 2; d: 1. So b is 2 and a is 3.
    assert.deepEqual(features, Float32Array.of(2, 3, 2, 1, 1, 3, 1, 0, 0, 0))
  })

  test('tables hold text and label in columns', async () => {
    const options = { ...declaration, column: 'text', label: 'stars' }
    const csv = await readDeclared(
      { ...options, file: 'x.csv' },
      { 'x.csv': 'stars,text\n4.5,"the cat, sat"\n', 'words.txt': vocabulary },
    )
    assert.deepEqual([csv.features, csv.labels], [Float32Array.of(2, 3, 1, 4, 0), Float32Array.of(4.5)])
    const jsonl = await readDeclared(
      { ...options, file: 'x.jsonl' },
      { 'x.jsonl': '{"text":"cat","stars":1}\n', 'words.txt': vocabulary },
    )
    assert.deepEqual([jsonl.features, jsonl.labels], [Float32Array.of(3, 0, 0, 0, 0), Int32Array.of(1)])
  })

  test('what does not fit together is refused with its place', async () => {
    await assert.rejects(read('a\nb', 'good'), { code: 'COUNTS_DIFFER', message: /y\.txt ends after 1 lines/ })
    await assert.rejects(read('a', 'good\nbad'), { code: 'COUNTS_DIFFER', message: /x\.txt ends after 1 lines/ })
    await assert.rejects(read('a', 'ugly'), { message: /y\.txt, line 1: "ugly" is none of the 2 classes/ })
    await assert.rejects(read('a', 'good', {}, 'the\n'), { code: 'VOCABULARY_UNUSABLE', message: /no line "\[PAD\]"/ })
    await assert.rejects(read('a', 'good', {}, '[PAD]\n[UNK]\na\na\n'), {
      message: /line 4: "a" stands there a second/,
    })
    await assert.rejects(read('a', 'good', { labels: undefined }), { code: 'DATASETS_INVALID' })
    await assert.rejects(
      readDeclared(
        { ...declaration, file: 'x.jsonl', column: 'text', label: 'y' },
        { 'x.jsonl': '{"text":5,"y":1}', 'words.txt': vocabulary },
      ),
      { message: /x\.jsonl, line 1, column "text": no text is there/ },
    )
  })
})
