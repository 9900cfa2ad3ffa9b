import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpAnswer } from './http-response.ts'

const answerOf = (value: unknown) => httpAnswer(Buffer.from(JSON.stringify(value)))

test('a returned value without a status code is the JSON body of a 200', () => {
  const answer = answerOf({ message: 'Hello' })
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.headers, [['content-type', 'application/json']])
  assert.equal(answer.body.toString(), '{"message":"Hello"}')
  assert.equal(answerOf('plain').body.toString(), 'plain')
})

test('status, headers, cookies and a base64 body are taken over, framing headers are not', () => {
  const answer = answerOf({
    statusCode: 201,
    headers: { 'Content-Type': 'image/png', 'X-Count': 3, 'Content-Length': '9999', Connection: 'close' },
    cookies: ['a=1; HttpOnly', 'b=2'],
    body: '/wABgA==',
    isBase64Encoded: true,
  })
  assert.equal(answer.status, 201)
  assert.deepEqual(answer.headers, [
    ['content-type', 'image/png'],
    ['x-count', '3'],
    ['set-cookie', ['a=1; HttpOnly', 'b=2']],
  ])
  assert.deepEqual([...answer.body], [0xff, 0x00, 0x01, 0x80])
})

test('what is no answer is refused', () => {
  for (const value of [{ statusCode: 99 }, { statusCode: 200, body: { a: 1 } }, { statusCode: 'ok' }]) {
    assert.throws(() => answerOf(value))
  }
  assert.throws(() => httpAnswer(Buffer.from('{')))
})
