import type { RespReply } from './resp.ts'
import type { Store } from './store.ts'

type Handler = (store: Store, args: readonly string[]) => RespReply

const ok = { status: 'OK' } as const
const syntax = () => new Error('ERR syntax error')

/** What a cache is asked; scripts, lists and streams need a real Redis. */
const handlers = new Map<string, Handler>([
  ['PING', (_, [message]) => message ?? { status: 'PONG' }],
  ['GET', (store, [key = '']) => store.text(key) ?? null],
  ['SET', set],
  ['SETEX', (store, [key = '', seconds = '', value = '']) => set(store, [key, value, 'EX', seconds])],
  ['MGET', (store, keys) => keys.map(key => store.text(key) ?? null)],
  ['DEL', (store, keys) => keys.filter(key => store.delete(key)).length],
  ['UNLINK', (store, keys) => keys.filter(key => store.delete(key)).length],
  ['EXISTS', (store, keys) => keys.filter(key => store.has(key)).length],
  ['INCR', (store, [key = '']) => increase(store, key, 1)],
  ['DECR', (store, [key = '']) => increase(store, key, -1)],
  ['INCRBY', (store, [key = '', by = '']) => increase(store, key, whole(by))],
  ['DECRBY', (store, [key = '', by = '']) => increase(store, key, -whole(by))],
  ['EXPIRE', (store, [key = '', seconds = '']) => Number(store.expireAt(key, Date.now() + whole(seconds) * 1000))],
  ['PEXPIRE', (store, [key = '', ms = '']) => Number(store.expireAt(key, Date.now() + whole(ms)))],
  [
    'PERSIST',
    (store, [key = '']) =>
      Number(Number.isFinite(store.expiresAtMs(key)) && store.expireAt(key, Number.POSITIVE_INFINITY)),
  ],
  ['TTL', (store, [key = '']) => left(store, key, 1000)],
  ['PTTL', (store, [key = '']) => left(store, key, 1)],
  ['HSET', hashSet],
  ['HGET', (store, [key = '', field = '']) => store.hash(key, false).get(field) ?? null],
  ['HGETALL', (store, [key = '']) => [...store.hash(key, false)].flat()],
  ['HDEL', (store, [key = '', ...fields]) => fields.filter(field => store.hash(key, false).delete(field)).length],
  ['FLUSHALL', clear],
  ['FLUSHDB', clear],
  // What client libraries send when they connect.
  ['INFO', () => 'redis_version:7.0.0\r\nloading:0\r\n'],
  ['CLIENT', () => ok],
  ['SELECT', (_, [database]) => (database === '0' ? ok : new Error('ERR DB index is out of range'))],
])

/** Runs one command; faults are replies. */
export function runCommand(store: Store, [name = '', ...args]: readonly string[]): RespReply {
  const handler = handlers.get(name.toUpperCase())
  if (!handler)
    return new Error(`ERR '${name.slice(0, 40)}' needs a real Redis; install redis-server or set TRIBUTARY_REDIS_URL`)
  try {
    return handler(store, args)
  } catch (error) {
    return error as Error
  }
}

function set(store: Store, [key = '', value = '', ...options]: readonly string[]): RespReply {
  let expiresAtMs = Number.POSITIVE_INFINITY
  let condition: boolean | undefined
  while (options.length > 0) {
    const option = options.shift()?.toUpperCase()
    if (option === 'NX') condition = !store.has(key)
    else if (option === 'XX') condition = store.has(key)
    else if (option === 'KEEPTTL') expiresAtMs = store.expiresAtMs(key) ?? expiresAtMs
    else if (option === 'EX') expiresAtMs = Date.now() + positive(options.shift()) * 1000
    else if (option === 'PX') expiresAtMs = Date.now() + positive(options.shift())
    else if (option === 'EXAT') expiresAtMs = positive(options.shift()) * 1000
    else if (option === 'PXAT') expiresAtMs = positive(options.shift())
    else throw syntax()
  }
  if (condition === false) return null
  store.set(key, value, expiresAtMs)
  return ok
}

function clear(store: Store): RespReply {
  store.clear()
  return ok
}

function hashSet(store: Store, [key = '', ...pairs]: readonly string[]): number {
  if (pairs.length === 0 || pairs.length % 2 !== 0) throw new Error("ERR wrong number of arguments for 'hset' command")
  const hash = store.hash(key, true)
  const before = hash.size
  for (let at = 0; at < pairs.length; at += 2) hash.set(pairs[at] ?? '', pairs[at + 1] ?? '')
  return hash.size - before
}

function increase(store: Store, key: string, by: number): number {
  const value = whole(store.text(key) ?? '0') + by
  store.set(key, String(value), store.expiresAtMs(key))
  return value
}

function left(store: Store, key: string, unitMs: number): number {
  const at = store.expiresAtMs(key)
  if (at === undefined) return -2
  return Number.isFinite(at) ? Math.ceil((at - Date.now()) / unitMs) : -1
}

function whole(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new Error('ERR value is not an integer or out of range')
  return Number(text)
}

function positive(text: string | undefined): number {
  const value = whole(text ?? '')
  if (value <= 0) throw new Error("ERR invalid expire time in 'set' command")
  return value
}
