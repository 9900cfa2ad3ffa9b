import * as z from 'zod'

/** One command as it goes to Redis: its name and its arguments as text. */
export type RedisCommand = readonly [name: string, ...args: string[]]

const maxCommands = 1000
const Argument = z.union([z.string(), z.number(), z.boolean()])
const Command = z.array(Argument).min(1).max(100_000)
const Commands = z.array(Command).max(maxCommands)

/** A body that is no command, or a command that makes no sense over HTTP. */
export class CommandRefusedError extends Error {}

// They change the shared connection, wait on it, or steer the server.
const refused = new Set(
  `SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR MULTI EXEC DISCARD WATCH UNWATCH SELECT AUTH QUIT
   RESET HELLO CLIENT CONFIG SHUTDOWN DEBUG REPLICAOF SLAVEOF SYNC PSYNC REPLCONF MODULE ACL SAVE BGSAVE BGREWRITEAOF FAILOVER CLUSTER
   WAIT WAITAOF BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP ASKING READONLY READWRITE SWAPDB MIGRATE LATENCY`.split(
    /\s+/,
  ),
)

/** @throws CommandRefusedError */
export function parseCommand(body: unknown): RedisCommand {
  const parsed = Command.safeParse(body)
  if (!parsed.success) throw new CommandRefusedError('ERR a command is an array of strings, numbers and booleans')
  const [name = '', ...args] = parsed.data.map(String)
  const upper = name.toUpperCase()
  const blocks = upper.startsWith('XREAD') && args.some(argument => argument.toUpperCase() === 'BLOCK')
  if (refused.has(upper) || blocks)
    throw new CommandRefusedError(`ERR Command is not available: '${name.slice(0, 40)}'`)
  // Upper case also keeps the client library from giving some replies another shape.
  return [upper, ...args]
}

/** @throws CommandRefusedError */
export function parseCommands(body: unknown): RedisCommand[] {
  const parsed = Commands.safeParse(body)
  if (!parsed.success) throw new CommandRefusedError(`ERR the body must be an array of at most ${maxCommands} commands`)
  return parsed.data.map(parseCommand)
}

/** `/set/key/value`, with what was sent as the body as last argument. */
export function commandFromPath(path: string, body: string): unknown[] {
  const parts = path
    .split('/')
    .filter(part => part !== '')
    .map(decodeURIComponent)
  return body === '' ? parts : [...parts, body]
}
