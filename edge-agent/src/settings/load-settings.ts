import { readAgentFile } from './agent-file.ts'
import { stateFolderOf } from './state-folder.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The environment, and below it what enrolment wrote into `agent.json`. Throws AgentFileError. */
export const loadSettings = async (environment: Environment): Promise<Environment> => {
  const stateDir = stateFolderOf(environment)
  const file = await readAgentFile(stateDir)
  if (file === undefined) return environment
  return { ...file.settings, ...environment, STATE_DIR: stateDir }
}
