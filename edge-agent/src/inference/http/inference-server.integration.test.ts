import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { post, x } from '../testing/ask.ts'
import { startServing, type TestServing, times } from '../testing/versions.ts'

const maxBodyBytes = 1000
const token = 'a token of this very device'

/** Sends what `fetch` would not, and gives everything that comes back before the connection ends. */
const raw = async (port: number, text: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('utf8').write(text)
  let answer = ''
  socket.on('data', chunk => {
    answer += chunk
  })
  await once(socket, 'close')
  return answer
}
const infer = (headers: string, body = ''): string =>
  `POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n\r\n${body}`

suite('the port of predictions', () => {
  let serving: TestServing
  let guarded: TestServing
  before(async () => {
    serving = await startServing({ maxBodyBytes })
    guarded = await startServing({ token: token.replaceAll(' ', '-') })
    await serving.release('m', times(2))
  })
  after(async () => {
    await serving[Symbol.asyncDispose]()
    await guarded[Symbol.asyncDispose]()
  })

  test('bodies of unknown length or beyond the bound are not read', async () => {
    assert.match(
      await raw(serving.port, infer('Transfer-Encoding: chunked', '2\r\n{}\r\n0\r\n\r\n')),
      /^HTTP\/1.1 411 .*LENGTH_REQUIRED/s,
    )
    // Nothing of the body is ever sent, and the answer comes all the same.
    assert.match(
      await raw(serving.port, infer(`Content-Length: ${maxBodyBytes + 1}`)),
      /^HTTP\/1.1 413 .*at most 1000 are read/s,
    )
    const asksFirst = await raw(serving.port, infer('Content-Length: 9999\r\nExpect: 100-continue'))
    assert.match(asksFirst, /^HTTP\/1.1 413 /)
  })

  test('who asks first whether a body is welcome is told to go on', async () => {
    const body = JSON.stringify(x([1, 2]))
    const asked = request(`${serving.url}/v2/models/m/infer`, {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': body.length },
    })
    asked.flushHeaders()
    await once(asked, 'continue')
    asked.end(body)
    const [answer] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }]
    answer.resume()
    assert.equal(answer.statusCode, 200)
  })

  test('bodies that were compressed, and binary heads that are no number, are refused', async () => {
    const refused = async (headers: Record<string, string>) =>
      (await post(`${serving.url}/v2/models/m/infer`, x([1, 2]), headers)).status
    assert.equal(await refused({ 'content-encoding': 'gzip' }), 400)
    assert.equal(await refused({ 'inference-header-content-length': '-1' }), 400)
    assert.equal(await refused({ 'inference-header-content-length': '999' }), 400)
  })

  test('headers beyond what a request has are refused', async () => {
    const large = await raw(serving.port, `GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`)
    assert.match(large, /^HTTP\/1.1 431 /)
    assert.match(await raw(serving.port, 'GET / HTTP/1.1\r\nnonsense\r\n\r\n'), /^HTTP\/1.1 400 /)
  })

  test('a page in a browser of the device cannot ask: neither by its own name nor from its own site', async () => {
    const status = async (headers: string) =>
      /^HTTP\/1.1 (\d+)/.exec(
        await raw(serving.port, `GET /v2 HTTP/1.1\r\nConnection: close\r\n${headers}\r\n\r\n`),
      )?.[1]
    assert.equal(await status('Host: localhost:1'), '200')
    assert.equal(await status('Host: rebound.example'), '403')
    assert.equal(await status('Host: localhost\r\nOrigin: https://page.example'), '403')
  })

  test('where there is a token, nothing is told without it', async () => {
    for (const path of ['/v2', '/v2/health/live', '/metrics', '/v2/models/m']) {
      const answer = await fetch(`${guarded.url}${path}`)
      assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Bearer'], path)
    }
    const status = async (authorization: string) =>
      (await fetch(`${guarded.url}/v2`, { headers: { authorization } })).status
    assert.equal(await status(`Bearer ${token.replaceAll(' ', '-')}`), 200)
    assert.equal(await status(`Bearer ${token.replaceAll(' ', '_')}`), 401)
    assert.equal(await status(`Basic ${token.replaceAll(' ', '-')}`), 401)
  })
})
