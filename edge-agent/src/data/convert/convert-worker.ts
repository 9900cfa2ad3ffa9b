import { DataError } from '../data-error.ts'
import { DataFiles } from '../data-files.ts'
import { convert } from './convert.ts'
import type { ConvertReply, ConvertRequest } from './convert-protocol.ts'

const tell = (reply: ConvertReply): Promise<void> =>
  new Promise(resolve => {
    if (process.send === undefined) resolve()
    else process.send(reply, undefined, {}, () => resolve())
  })

/** Ends with whoever started it, also in the middle of a long piece of work. */
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

const serve = async ({ declaration, dataDir, targets, maxBytes }: ConvertRequest): Promise<void> => {
  try {
    await using files = DataFiles.of(dataDir)
    await convert(declaration, files, targets, { maxBytes, onProgress: () => void tell({ kind: 'progress' }) })
    await tell({ kind: 'done' })
  } catch (error) {
    const { message } = error as Error
    const { code, at } = error instanceof DataError ? error : { code: undefined, at: undefined }
    await tell({ kind: 'failed', code, message, at })
  }
  process.removeAllListeners('disconnect')
  process.disconnect()
}

// A parser that reads ahead may leave behind what nobody waits for.
process.on('unhandledRejection', error => {
  void tell({ kind: 'failed', code: 'FILE_UNREADABLE', message: `A file is damaged: ${String(error).slice(0, 300)}` })
})

process.once('message', (request: ConvertRequest) => void serve(request))
