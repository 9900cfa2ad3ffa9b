import { join } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Where the agent keeps its identity, settings and state: STATE_DIR; else what systemd made for the unit; else the place for
 * the user's state. https://specifications.freedesktop.org/basedir-spec
 */
export const stateFolderOf = (environment: Environment, userId: number | undefined = process.getuid?.()): string => {
  const { STATE_DIR, STATE_DIRECTORY, XDG_STATE_HOME, HOME } = environment
  if (STATE_DIR) return STATE_DIR
  // systemd.exec(5): several are joined by colons.
  const [ofUnit] = STATE_DIRECTORY?.split(':') ?? []
  if (ofUnit) return ofUnit
  if (userId === 0) return '/var/lib/tributary-agent'
  return join(XDG_STATE_HOME || join(HOME ?? '.', '.local', 'state'), 'tributary-agent')
}
