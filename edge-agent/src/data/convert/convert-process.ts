import { type ChildProcess, fork } from 'node:child_process'
import { DataError } from '../data-error.ts'
import type { ConvertReply, ConvertRequest } from './convert-protocol.ts'

export type ConvertProcessOptions = {
  readonly signal?: AbortSignal | undefined
  /** Without any progress for so long the process is ended. @default 120 */
  readonly stallSeconds?: number
  /** Memory of its objects; a file that needs more ends the process, not the agent. @default 1024 */
  readonly heapMegabytes?: number
}

/** Where the program is once esbuild has put everything beside the agent. */
const program = new URL(
  import.meta.url.endsWith('.ts') ? './convert-worker.ts' : './convert-worker.mjs',
  import.meta.url,
)

/**
 * Converts a data set in a process of its own: decoders of images and tables are never loaded into the agent, a file made to
 * break one breaks that process alone, and its memory is given back at the end.
 * Rejects with DataError, or the signal's reason.
 */
export const convertInProcess = async (
  request: ConvertRequest,
  { signal, stallSeconds = 120, heapMegabytes = 1024 }: ConvertProcessOptions = {},
): Promise<void> => {
  signal?.throwIfAborted()
  const child = fork(program, {
    execArgv: [`--max-old-space-size=${heapMegabytes}`],
    // Nothing of the agent's environment; libvips is to leave out loaders that are not hardened.
    env: { VIPS_BLOCK_UNTRUSTED: '1' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  })
  try {
    await outcome(child, request, signal, stallSeconds * 1000)
  } finally {
    child.kill('SIGKILL')
  }
}

const outcome = (
  child: ChildProcess,
  request: ConvertRequest,
  signal: AbortSignal | undefined,
  stallMillis: number,
): Promise<void> =>
  new Promise((resolve, reject) => {
    let lastWords = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      lastWords = (lastWords + chunk.toString('utf8')).slice(-2000)
    })
    const ended = (why: string): DataError =>
      new DataError('CONVERSION_ENDED', `Data set "${request.declaration.name}" could not be converted: ${why}`)
    const stalled = () =>
      settle(() => reject(ended(`nothing happened for ${stallMillis / 1000} s. Is its disk or network share there?`)))
    let timer = setTimeout(stalled, stallMillis)
    const abort = () => settle(() => reject(signal?.reason as Error))
    signal?.addEventListener('abort', abort, { once: true })
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      act()
    }
    child.on('message', (reply: ConvertReply) => {
      if (reply.kind === 'progress') {
        clearTimeout(timer)
        timer = setTimeout(stalled, stallMillis)
      } else if (reply.kind === 'done') settle(resolve)
      else
        settle(() =>
          reject(
            reply.code === undefined
              ? ended(reply.message)
              : new DataError(reply.code, reply.message, { at: reply.at }),
          ),
        )
    })
    child.once('error', cause => settle(() => reject(ended(cause.message))))
    child.once('exit', (code, ending) => {
      const memory = /heap out of memory/i.test(lastWords) || ending === 'SIGKILL'
      const what = memory ? 'it takes more memory than there is. Write it in smaller pieces.' : lastWords.slice(-500)
      settle(() => reject(ended(`its process ended (${ending ?? code}): ${what}`)))
    })
    child.send(request, error => {
      if (error !== null) settle(() => reject(ended(error.message)))
    })
  })
