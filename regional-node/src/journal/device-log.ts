import { deviceLogSource, type LogEntry, mostLogTailBytes } from '@tributary/contracts/node-status'

/** Devices whose log goes on, of one attempt or evaluation: what thousands say after them is the same. */
export const mostDeviceLogs = 64
/** Characters of one entry; an entry has 2 000 at most. */
const partLength = 1900

type Part = { readonly message: string; readonly fields: NonNullable<LogEntry['fields']> }

/**
 * The end of a device's log as entries of the node's, in parts of whole lines where that is possible. What a device says is text: all
 * control characters but line ends and tabs are left out, and of more than 4 KiB only the end is kept.
 */
export const deviceLogParts = (text: string): Part[] => {
  const clean = text
    .slice(-mostLogTailBytes)
    .toWellFormed()
    .replaceAll(/[^\P{Cc}\n\t]/gu, '')
    .trim()
  const messages: string[] = []
  for (let rest = clean; rest !== ''; ) {
    const lineEnd = rest.length <= partLength ? rest.length : rest.lastIndexOf('\n', partLength)
    const end = lineEnd > 0 ? lineEnd : partLength
    messages.push(rest.slice(0, end).toWellFormed())
    rest = rest.slice(end).replace(/^\n/, '')
  }
  return messages.map((message, at) => ({
    message,
    fields: { source: deviceLogSource, part: at + 1, parts: messages.length },
  }))
}
