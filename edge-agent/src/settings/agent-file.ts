import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Slug, Timestamp, Uuid } from '@tributary/contracts/ids'
import * as z from 'zod'
import { writeAtomically } from '../state/atomic-file.ts'

const maxFileBytes = 64 * 1024

/** `agent.json` in the state folder: what enrolment found out, and any setting of the agent by the name of its variable. */
export const AgentFile = z.strictObject({
  format: z.literal('tributary.agent/1'),
  device: Uuid,
  label: Slug,
  region: Slug,
  enrolledAt: Timestamp,
  /** sha256 of the authority's certificate (DER), hex: whom the owner chose to trust. */
  authoritySha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** By the names of the variables that they stand for; the environment goes first. */
  settings: z.record(z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/), z.string().max(4096)),
})
export type AgentFile = z.infer<typeof AgentFile>

/** The file is there, but not usable; the message says what to do. */
export class AgentFileError extends Error {
  override readonly name = 'AgentFileError'
}

export const agentFileName = 'agent.json'

/** Undefined where the device was not enrolled with this state folder. Throws AgentFileError. */
export const readAgentFile = async (stateDir: string): Promise<AgentFile | undefined> => {
  const file = join(stateDir, agentFileName)
  let text: string
  try {
    await using handle = await open(file, 'r')
    if ((await handle.stat()).size > maxFileBytes) throw new AgentFileError(`${file} has more than 64 KiB.`)
    text = await handle.readFile('utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (cause instanceof AgentFileError) throw cause
    throw new AgentFileError(`${file} cannot be read. Run the agent as the user who enrolled it.`, { cause })
  }
  const parsed = AgentFile.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  const faults = z.prettifyError(parsed.error).slice(0, 1000)
  throw new AgentFileError(`${file} is not usable; mend it or enrol again:\n${faults}`)
}

/** Replaces the file. */
export const writeAgentFile = (stateDir: string, content: AgentFile): Promise<void> =>
  writeAtomically(join(stateDir, agentFileName), `${JSON.stringify(content, null, 2)}\n`)

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
