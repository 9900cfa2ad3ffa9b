import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { ApiClient } from './api-client.ts'

const model = {
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  name: 'a model',
  description: '',
  createdAt: '2026-01-01T00:00:00.000Z',
  latestVersion: null,
  retention: null,
}

/** An API that answers each request with the next of these; `cut` takes the request and gives no answer. */
const apiOf = async (...answers: readonly ('cut' | readonly [status: number, body: object])[]) => {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    const answer = answers[requests.length] ?? answers.at(-1) ?? 'cut'
    requests.push(request)
    if (answer === 'cut') request.socket.destroy()
    else response.writeHead(answer[0], { 'content-type': 'application/json' }).end(JSON.stringify(answer[1]))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    client: new ApiClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'token'),
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

test('a call whose connection is lost, or that is refused for now, is repeated under the same key', async () => {
  const busy = { type: 't', title: 't', status: 503, code: 'UNAVAILABLE' }
  await using api = await apiOf('cut', [503, busy], 'cut', [201, model])
  assert.deepEqual(await api.client.call('createModel', { body: { name: 'a model' } }), model)
  const keys = api.requests.map(({ headers }) => headers['idempotency-key'])
  assert.equal(keys.length, 4)
  assert.equal(new Set(keys).size, 1)
})

test('a refusal is not repeated, and its message has code and fields', async () => {
  const errors = [{ path: 'name', message: 'too long' }]
  const problem = { type: 't', title: 'It does not fit.', status: 400, code: 'BODY_INVALID', errors }
  await using api = await apiOf([400, problem])
  await assert.rejects(api.client.call('createModel', { body: { name: 'x' } }), {
    name: 'ApiRefusedError',
    code: 'BODY_INVALID',
    message: 'createModel was refused with 400: BODY_INVALID: It does not fit. (name too long)',
  })
  assert.equal(api.requests.length, 1)
})
