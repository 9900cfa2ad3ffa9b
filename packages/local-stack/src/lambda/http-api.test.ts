import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { finished } from 'node:stream/promises'
import { test } from 'node:test'
import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import { FunctionLog } from './function-log.ts'
import type { PoolOptions } from './function-pool.ts'
import { startHttpApi } from './http-api.ts'
import { MetricStore } from './metric-store.ts'
import { fixtureSpec, temporaryFolder, testPool } from './testing.ts'

const echo = `
import { setTimeout as delay } from 'node:timers/promises'
export const handler = async event => {
  const { op } = event.queryStringParameters ?? {}
  if (op === 'throw') throw new Error('secret detail')
  if (op === 'nonsense') return { statusCode: 'x' }
  if (op === 'sleep') await delay(3000)
  if (op === 'bytes') {
    const headers = { 'content-type': 'application/octet-stream' }
    return { statusCode: 200, headers, cookies: ['a=1', 'b=2'], body: event.body, isBase64Encoded: event.isBase64Encoded }
  }
  if (op === 'nothing') return { statusCode: 204 }
  return { statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(event) }
}
`

async function testApi(changes: Partial<PoolOptions> = {}) {
  await using stack = new AsyncDisposableStack()
  const { pool } = stack.use(await testPool({ ...changes, source: echo }))
  const failures: string[] = []
  const pools = new Map([['tasks', pool]])
  const api = stack.use(await startHttpApi({ host: '127.0.0.1', port: 0 }, pools, text => failures.push(text)))
  const owned = stack.move()
  return {
    url: `http://127.0.0.1:${api.port}/v1/tasks`,
    port: api.port,
    failures,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

test('a request becomes an event of payload format 2.0', async () => {
  await using api = await testApi()
  const sent = request({
    port: api.port,
    method: 'POST',
    path: '/v1/tasks/%C3%A4/start?tag=a&tag=b%20c&flag',
    headers: [
      ['Host', 'api.example:8085'],
      ['Content-Type', 'application/json; charset=utf-8'],
      ['X-Twice', 'one'],
      ['X-Twice', 'two'],
      ['Cookie', 'a=1; b=2'],
      ['User-Agent', 'test/1'],
      ['Idempotency-Key', 'K'],
    ].flat(),
  })
  sent.end('{"name":"größe"}')
  const event = await new Promise<APIGatewayProxyEventV2>((resolve, reject) => {
    sent.once('error', reject)
    sent.once('response', response => {
      response.toArray().then(chunks => resolve(JSON.parse(Buffer.concat(chunks).toString())), reject)
    })
  })
  assert.equal(event.version, '2.0')
  assert.equal(event.routeKey, 'POST /v1/tasks/{task}/start')
  assert.equal(event.rawPath, '/v1/tasks/%C3%A4/start')
  assert.equal(event.rawQueryString, 'tag=a&tag=b%20c&flag')
  assert.deepEqual(event.queryStringParameters, { tag: 'a,b c', flag: '' })
  assert.deepEqual(event.pathParameters, { task: 'ä' })
  assert.deepEqual(event.cookies, ['a=1', 'b=2'])
  assert.equal(event.headers['x-twice'], 'one,two')
  assert.equal(event.headers['idempotency-key'], 'K')
  assert.equal(event.headers.cookie, undefined)
  assert.equal(event.headers['x-forwarded-for'], '127.0.0.1')
  assert.equal(event.body, '{"name":"größe"}')
  assert.equal(event.isBase64Encoded, false)
  const { http, domainName, stage, time, timeEpoch, requestId } = event.requestContext
  assert.deepEqual(http, {
    method: 'POST',
    path: '/v1/tasks/%C3%A4/start',
    protocol: 'HTTP/1.1',
    sourceIp: '127.0.0.1',
    userAgent: 'test/1',
  })
  assert.equal(domainName, 'api.example:8085')
  assert.equal(stage, '$default')
  assert.match(time, /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/)
  assert.ok(Math.abs(timeEpoch - Date.now()) < 60_000)
  assert.match(requestId, /^[0-9a-f-]{36}$/)
})

test('bytes that are no text go through unchanged both ways, and each cookie has its header', async () => {
  await using api = await testApi()
  const body = Buffer.from(Array.from({ length: 70_000 }, (_, place) => (place * 31) % 256))
  const headers = { 'content-type': 'application/octet-stream' }
  const answer = await fetch(`${api.url}?op=bytes`, { method: 'POST', body, headers })
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), body)
  assert.deepEqual(answer.headers.getSetCookie(), ['a=1', 'b=2'])
})

test('a path without a route still reaches the function that can say so', async () => {
  await using api = await testApi()
  const event = (await (await fetch(`${api.url}/1/nothing`)).json()) as APIGatewayProxyEventV2
  assert.equal(event.routeKey, '$default')
  assert.equal(event.rawPath, '/v1/tasks/1/nothing')
})

test('HEAD and 204 have no body', async () => {
  await using api = await testApi()
  assert.equal(await (await fetch(api.url, { method: 'HEAD' })).text(), '')
  const nothing = await fetch(`${api.url}?op=nothing`)
  assert.equal(nothing.status, 204)
  assert.equal(nothing.headers.get('content-length'), null)
})

test('a body over 6 MB is refused with 413, declared or not', async () => {
  await using api = await testApi()
  const body = Buffer.alloc(10 * 1024 * 1024, 0x20)
  const headers = { 'content-type': 'application/json' }
  const declared = await fetch(api.url, { method: 'POST', body, headers })
  assert.equal(declared.status, 413)
  assert.equal(((await declared.json()) as { code: string }).code, 'BODY_TOO_LARGE')
  const stream = new Blob([body]).stream()
  const chunked = await fetch(api.url, { method: 'POST', body: stream, headers, duplex: 'half' })
  assert.equal(chunked.status, 413)
  assert.equal((await fetch(api.url)).status, 200)
})

test('a function that fails gives a problem document without the detail, which goes to the log', async () => {
  await using api = await testApi()
  for (const op of ['throw', 'nonsense']) {
    const answer = await fetch(`${api.url}?op=${op}`)
    assert.equal(answer.status, 500)
    assert.equal(answer.headers.get('content-type'), 'application/problem+json')
    const text = await answer.text()
    assert.equal(JSON.parse(text).code, 'INTERNAL')
    assert.doesNotMatch(text, /secret/)
  }
  assert.match(api.failures[0] ?? '', /secret detail/)
})

test('a request that finds no instance in time is answered with 503', async () => {
  await using api = await testApi({ spec: { ...fixtureSpec, concurrency: 1 }, waitSeconds: 1.5 })
  await fetch(api.url)
  const [first, second] = await Promise.all([fetch(`${api.url}?op=sleep`), fetch(`${api.url}?op=sleep`)])
  assert.deepEqual([first.status, second.status].toSorted(), [200, 503])
  const refused = first.status === 503 ? first : second
  assert.equal(refused.headers.get('retry-after'), '1')
})

test('what is not HTTP does no harm', async () => {
  await using api = await testApi()
  for (const bytes of [
    '\x16\x03\x01\x02\x00',
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
    'GET http://[ HTTP/1.1\r\n\r\n',
  ]) {
    const socket = connect(api.port, '127.0.0.1')
    socket.end(bytes)
    const answer = Buffer.concat(await socket.toArray()).toString()
    assert.match(answer, /^HTTP\/1.1 400/)
  }
  assert.equal((await fetch(api.url)).status, 200)
})

test('what functions measured is shown at /metrics and is not in their log', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder()).path
  const metrics = new MetricStore()
  const log = stack.adopt(new FunctionLog(join(folder, 'function.log'), metrics), each => each.close())
  const directive = { Namespace: 'x', Dimensions: [['function']], Metrics: [{ Name: 'ColdStarts' }] }
  const measured = JSON.stringify({ _aws: { CloudWatchMetrics: [directive] }, function: 'tasks', ColdStarts: 1 })
  const written = new PassThrough()
  log.follow(written)
  // Lines come in whatever pieces the pipe gives.
  for (const piece of ['first\n', measured.slice(0, 30), `${measured.slice(30)}\nse`, `cond\n${measured}\nthird\n`]) {
    written.write(piece)
  }
  written.end()
  await finished(written)
  assert.equal(log.tail(), 'first\nsecond\nthird')
  const api = stack.use(await startHttpApi({ host: '127.0.0.1', port: 0 }, new Map(), () => undefined, metrics))
  const answer = await fetch(`http://127.0.0.1:${api.port}/metrics`)
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  assert.ok((await answer.text()).includes('\ntributary_cold_starts_total{function="tasks"} 2\n'))
})
