import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { DataError } from '../data/data-error.ts'
import { TrainingError } from '../training/training-error.ts'
import { Arguments } from './arguments.ts'
import { compileCommand } from './compile-command.ts'
import { inspectCommand } from './inspect-command.ts'
import type { Output } from './output.ts'
import { trainCommand } from './train-command.ts'
import { usage } from './usage.ts'
import { UsageError } from './usage-error.ts'
import { withOptions } from './with-options.ts'

type Surroundings = { readonly folder: string; readonly output: Output; readonly signal: AbortSignal }

const commands = new Map([
  ['inspect', inspectCommand],
  ['compile', compileCommand],
  ['train', trainCommand],
])

/**
 * Runs one command line and returns the exit code: 0 done, 1 the model or the data cannot be used or training failed,
 * 2 wrong call. What is wrong is one line on `err`; only what nobody foresaw is thrown.
 */
export const runCommand = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { output, signal } = surroundings
  try {
    const given = new Arguments(line)
    const [name = '', file, ...rest] = given.positionals
    if (given.flag('help') || name === 'help') {
      output.out(usage)
      return 0
    }
    const command = commands.get(name)
    if (command === undefined) {
      const what = name === '' ? 'There is no command' : `There is no command "${name.slice(0, 40)}"`
      throw new UsageError(`${what}; use inspect, compile or train`)
    }
    if (file === undefined) throw new UsageError(`${name} needs the file of a model`)
    if (rest.length > 0) throw new UsageError(`${name} takes one model, not ${rest.length + 1}`)
    return await command(given, file, surroundings)
  } catch (error) {
    return fail(error, output, signal)
  }
}

const fail = (error: unknown, { err }: Output, signal: AbortSignal): number => {
  const say = (message: string): void => err(`onnx-train: ${message.replace(/\s+/g, ' ')}\n`)
  if (error instanceof UsageError) {
    say(`${error.message}. See --help.`)
    return 2
  }
  if (signal.aborted) {
    say('stopped')
    return 1
  }
  if (error instanceof OnnxModelError && error.code === 'OPTIONS_INVALID') {
    say(error.message)
    return 2
  }
  if (error instanceof TrainingError && error.code === 'SETTINGS_INVALID') {
    say(error.message)
    return 2
  }
  if (error instanceof OnnxModelError) {
    say(withOptions(error))
    return 1
  }
  if (error instanceof TrainingError || error instanceof DataError) {
    say(error.message)
    return 1
  }
  throw error
}
