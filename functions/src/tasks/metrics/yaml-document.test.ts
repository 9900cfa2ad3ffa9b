import assert from 'node:assert/strict'
import { test } from 'node:test'
import { yamlDocument } from './yaml-document.ts'

test('texts of people stay one value of one key', () => {
  assert.equal(
    yamlDocument({ name: 'a: b\n- "c" #d\u0085\u2028', none: null, number: 3, tags: [] }),
    'name: "a: b\\n- \\"c\\" #d\\u0085\\u2028"\nnone: null\nnumber: 3\ntags: []\n',
  )
})
