import { UsageError } from '../usage-error.ts'
import { type AgentCommand, CommandError, type Surroundings } from './agent-command.ts'
import { program } from './program.ts'

const commands = new Map<string, AgentCommand>([
  [
    'enrol',
    {
      summary: 'join a federation with a code of its operator',
      run: async (line, surroundings) => (await import('./enrol/enrol-command.ts')).enrol(line, surroundings),
    },
  ],
  [
    'doctor',
    {
      summary: 'see whether everything it needs is within reach, and who must mend what is not',
      run: async (line, surroundings) => (await import('./doctor/doctor-command.ts')).doctor(line, surroundings),
    },
  ],
  [
    'datasets',
    {
      summary: 'show what central is told about the data',
      run: async (line, surroundings) => (await import('./datasets/datasets-command.ts')).datasets(line, surroundings),
    },
  ],
  [
    'status',
    {
      summary: 'show what the agent does, and what it has sent',
      run: async (line, surroundings) => (await import('./status/status-command.ts')).status(line, surroundings),
    },
  ],
  [
    'personal',
    {
      summary: 'show what the device keeps for itself, and forget it',
      run: async (line, surroundings) => (await import('./personal/personal-command.ts')).personal(line, surroundings),
    },
  ],
  [
    'fine-tune',
    {
      summary: 'have a deployed model fitted to the data of this device',
      run: async (line, surroundings) =>
        (await import('./fine-tune/fine-tune-command.ts')).fineTune(line, surroundings),
    },
  ],
  [
    'run',
    {
      summary: 'start the agent',
      run: async (line, surroundings) => (await import('./run/run-command.ts')).run(line, surroundings),
    },
  ],
  [
    'predict',
    {
      summary: 'ask a deployed model for predictions',
      run: async (line, surroundings) => (await import('./predict/predict-command.ts')).predict(line, surroundings),
    },
  ],
])

/**
 * Runs one command line of `tributary-agent` and returns the exit code: 0 done, 1 not possible, 2 wrong call. What is wrong is one line on
 * `err`; only what nobody foresaw is thrown.
 */
export const runAgentCommand = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { output, signal } = surroundings
  const [name = 'help', ...rest] = line
  if (name === 'help' || name === '--help' || name === '-h') {
    output.out(usage())
    return 0
  }
  const say = (message: string): void => output.err(`tributary-agent: ${message.replace(/\s+/g, ' ')}\n`)
  const command = commands.get(name)
  if (command === undefined) {
    say(`There is no command "${name.slice(0, 40)}"; there are ${[...commands.keys()].join(', ')}. See --help.`)
    return 2
  }
  try {
    return await command.run(rest, surroundings)
  } catch (error) {
    if (error instanceof UsageError) {
      say(`${error.message}. See tributary-agent ${name} --help.`)
      return 2
    }
    if (signal.aborted) {
      say('stopped')
      return 1
    }
    if (!(error instanceof CommandError)) throw error
    say(error.message)
    return 1
  }
}

const usage = (): string => {
  const width = Math.max(...[...commands.keys()].map(name => name.length))
  const list = [...commands].map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}\n`).join('')
  return `The edge agent of Tributary: trains on this device's data, and serves what was released.

  ${program} <command> [options]

${list}
Every command has --help. Exit codes: 0 done, 1 not possible, 2 wrong call.
`
}
