import { fstatSync } from 'node:fs'
import { readConfig } from './config.ts'
import { armFailpoint } from './log/failpoint.ts'
import { runRegionalNode } from './regional-node.ts'

const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => stop.abort())

// Whoever started the node holds the other end of its standard input; in a container there is none (/dev/null).
const input = fstatSync(0)
if (input.isFIFO() || input.isSocket()) {
  process.stdin.on('end', () => stop.abort())
  process.stdin.on('close', () => stop.abort())
  process.stdin.on('error', () => stop.abort())
  process.stdin.resume()
}

try {
  const config = readConfig()
  if (config.failpoint !== undefined) armFailpoint(config.failpoint)
  await runRegionalNode(config, stop.signal)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  process.stdin.destroy()
}
