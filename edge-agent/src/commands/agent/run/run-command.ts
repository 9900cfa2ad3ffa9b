import { resolve } from 'node:path'
import type { Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { readOptions } from '../read-options.ts'

const usage = `Starts the agent; it goes on until it is asked to end. Settings come from the environment, and from agent.json in the state folder.

  ${program} run [--state-dir folder]
`

/** The command `run`. Throws UsageError. Exit codes as of the agent: 3 where it cannot run as it is set up. */
export const run = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { folder, environment, output, signal } = surroundings
  const given = readOptions(line, { 'state-dir': { type: 'string' } })
  if (given.help) {
    output.out(usage)
    return 0
  }
  // Before what it is to bound is loaded.
  await import('../../../small-heap.ts')
  const { runAgent } = await import('../../../run-agent.ts')
  const stateDir = given['state-dir']
  const settings = stateDir === undefined ? environment : { ...environment, STATE_DIR: resolve(folder, stateDir) }
  return runAgent(settings, signal)
}
