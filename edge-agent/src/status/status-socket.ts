import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { type LiveStatus, statusSocketName } from './live-status.ts'
import { readLiveStatus } from './read-live-status.ts'

/** sun_path of Linux and macOS, with the zero at its end. */
const mostPathBytes = 103
const mostConnections = 8

/**
 * Tells whoever connects to `<state>/agent.sock` how the agent is: one JSON object, then the end. Nothing is read from there. Only the
 * owner of the file can connect. Where it cannot be opened, the log says so and the agent goes on.
 */
export const serveStatus = async (
  stateDir: string,
  status: () => LiveStatus,
  log: Logger,
): Promise<AsyncDisposable> => {
  const path = join(stateDir, statusSocketName)
  const nothing = { [Symbol.asyncDispose]: async () => {} }
  if (process.platform === 'win32' || Buffer.byteLength(path) > mostPathBytes) {
    log.info({ path }, 'no socket for tributary-agent status: this path cannot be one')
    return nothing
  }
  try {
    const other = await readLiveStatus(stateDir)
    if (other !== undefined) {
      log.error({ process: other.processId, stateDir }, 'another agent runs with this state folder: stop one of them')
      return nothing
    }
    // Of one that was killed.
    await rm(path, { force: true })
    const server = await listen(path, status)
    return {
      [Symbol.asyncDispose]: async () => {
        server.close()
        await rm(path, { force: true })
      },
    }
  } catch (error) {
    log.warn({ err: error, path }, 'no socket for tributary-agent status')
    return nothing
  }
}

const listen = async (path: string, status: () => LiveStatus): Promise<Server> => {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.end(JSON.stringify(status()))
  })
  server.maxConnections = mostConnections
  server.listen(path)
  await once(server, 'listening')
  await chmod(path, 0o600)
  return server.unref()
}
