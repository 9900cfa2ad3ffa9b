import { connect } from 'node:net'
import { join } from 'node:path'
import { LiveStatus, statusSocketName } from './live-status.ts'

const deadlineMillis = 5_000
const mostBytes = 64 * 1024

/** How the agent of this state folder is; undefined where none runs. Rejects where it may not be asked, or says nothing. */
export const readLiveStatus = async (stateDir: string): Promise<LiveStatus | undefined> => {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  const socket = connect(join(stateDir, statusSocketName)).setEncoding('utf8')
  socket.setTimeout(deadlineMillis, () => socket.destroy(new Error('the agent does not answer')))
  let text = ''
  socket
    .on('data', (part: string) => {
      text += part
      if (text.length > mostBytes) socket.destroy(new Error('what answers is no agent'))
    })
    .on('end', () => resolve(text))
    .on('error', (error: NodeJS.ErrnoException) => {
      const nobody = ['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'EINVAL'].includes(error.code ?? '')
      if (nobody) resolve(undefined)
      else reject(error)
    })
    .on('close', () => resolve(undefined))
  const answer = await promise
  socket.destroy()
  return answer === undefined ? undefined : LiveStatus.parse(JSON.parse(answer))
}
