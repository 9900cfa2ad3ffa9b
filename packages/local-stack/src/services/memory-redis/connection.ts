import type { Socket } from 'node:net'
import { sameText } from '../aws-signature/verify-signature.ts'
import { runCommand } from './commands.ts'
import { RespReader, type RespReply, writeReply } from './resp.ts'
import type { Store } from './store.ts'

const maxQueued = 10_000

/** Serves one client: password first, then commands, alone or between MULTI and EXEC. */
export function serveConnection(socket: Socket, store: Store, password: string): void {
  const reader = new RespReader()
  let known = false
  let queued: string[][] | undefined

  const answer = (command: string[]): RespReply => {
    const name = command[0]?.toUpperCase()
    if (name === 'AUTH') {
      known = sameText(command.at(-1) ?? '', password)
      return known ? { status: 'OK' } : new Error('WRONGPASS invalid username-password pair or user is disabled.')
    }
    if (!known) return new Error('NOAUTH Authentication required.')
    if (name === 'MULTI') queued = []
    else if (name === 'DISCARD') queued = undefined
    else if (name === 'EXEC') {
      const commands = queued
      queued = undefined
      return commands ? commands.map(one => runCommand(store, one)) : new Error('ERR EXEC without MULTI')
    } else if (queued) {
      if (queued.length >= maxQueued) return new Error('ERR too many commands are queued')
      queued.push(command)
      return { status: 'QUEUED' }
    } else return runCommand(store, command)
    return { status: 'OK' }
  }

  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    try {
      let replies = ''
      for (const command of reader.feed(chunk)) if (command.length > 0) replies += writeReply(answer(command))
      if (replies !== '') socket.write(replies)
    } catch (error) {
      socket.end(writeReply(new Error(`ERR ${(error as Error).message}`)))
    }
  })
}
