import { Participation } from '@tributary/contracts/participation'

/** One device's line; its texts and metrics are bounded well below. */
const maxLineBytes = 64 * 1024

/** The list is not one JSON object a line. */
export class ParticipationListError extends Error {
  override readonly name = 'ParticipationListError'
}

/**
 * Parses a participation list as it arrives, holding one line at a time.
 * @throws ParticipationListError naming the line
 */
export async function* participationLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Participation> {
  let rest: Buffer = Buffer.alloc(0)
  let number = 0
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, start)) {
      number += 1
      if (end > start) yield parseLine(rest.subarray(start, end), number)
      start = end + 1
    }
    rest = rest.subarray(start)
    if (rest.length > maxLineBytes)
      throw new ParticipationListError(`line ${number + 1} is longer than ${maxLineBytes} bytes`)
  }
  if (rest.length > 0) yield parseLine(rest, number + 1)
}

const parseLine = (line: Buffer, number: number): Participation => {
  let json: unknown
  try {
    json = JSON.parse(line.toString('utf8'))
  } catch (cause) {
    throw new ParticipationListError(`line ${number} is not JSON`, { cause })
  }
  const parsed = Participation.safeParse(json)
  if (!parsed.success)
    throw new ParticipationListError(`line ${number}: ${parsed.error.issues[0]?.message ?? 'invalid'}`)
  return parsed.data
}
