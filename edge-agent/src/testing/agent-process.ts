import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestAuthority } from './certificates.ts'
import { identityOf } from './federation.ts'
import { writeStripes } from './idx-files.ts'

/** Settings of an agent with an identity and data of its own below the folder. */
export const agentEnvironment = async (
  authority: TestAuthority,
  folder: string,
  node: string,
): Promise<Record<string, string>> => {
  const identity = await identityOf(authority)
  const dataDir = join(folder, 'data')
  await mkdir(dataDir)
  await writeStripes(dataDir, 1000)
  await writeFile(join(folder, 'cert.pem'), identity.certificate)
  await writeFile(join(folder, 'key.pem'), identity.key, { mode: 0o600 })
  await writeFile(join(folder, 'ca.pem'), identity.authority)
  return {
    AGENT_CERT_FILE: join(folder, 'cert.pem'),
    AGENT_KEY_FILE: join(folder, 'key.pem'),
    AUTHORITY_CERT_FILE: join(folder, 'ca.pem'),
    NODE_ENDPOINTS: node,
    // Nobody listens there: the broker only makes things faster.
    MQTT_URL: 'mqtts://localhost:9',
    DATA_DIR: dataDir,
    STATE_DIR: join(folder, 'state'),
    LOG_LEVEL: 'error',
  }
}

export type AgentProcess = AsyncDisposable & {
  readonly child: ChildProcess
  /** Exit code and signal. */
  readonly ended: Promise<unknown[]>
  /** What it said on standard output so far, a line each. */
  readonly lines: readonly string[]
  /** Resolves with the first line that matches, from the given one on. Rejects after a minute. */
  readonly untilLine: (pattern: RegExp, from?: number) => Promise<string>
}

/** Starts a program of the agent; it is killed when disposed. */
export const launchAgent = (line: readonly string[], env: Readonly<Record<string, string>>): AgentProcess => {
  const child = spawn(process.execPath, [...line], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  const lines: string[] = []
  const events = new EventEmitter()
  createInterface({ input: child.stdout }).on('line', text => {
    lines.push(text)
    events.emit('line')
  })
  return {
    child,
    ended,
    lines,
    untilLine: async (pattern, from = 0) => {
      const signal = AbortSignal.timeout(60_000)
      for (let next = from; ; next += 1) {
        while (next >= lines.length) {
          await once(events, 'line', { signal }).catch(() => {
            throw new Error(`the agent does not say ${pattern}, but:\n${lines.slice(from).join('\n').slice(-5000)}`)
          })
        }
        const text = lines[next] as string
        if (pattern.test(text)) return text
      }
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
