import { NoBrokerError } from './services/rabbitmq/no-broker-error.ts'
import { BusyPortsError } from './settings/busy-ports.ts'
import { UnsafeFolderError } from './settings/folders.ts'
import { StackRunningError } from './settings/state-lock.ts'
import { exitCodes } from './start/exit-codes.ts'
import { type Interrupted, untilInterrupted } from './start/interruption.ts'
import { parseStartOptions, UsageError, usage } from './start/options.ts'
import { runStack } from './start/run-stack.ts'
import { createTerminal } from './start/terminal.ts'

const environmentErrors = [BusyPortsError, StackRunningError, UnsafeFolderError, NoBrokerError] as const

const main = async (args: readonly string[]): Promise<number> => {
  using interruption = untilInterrupted()
  try {
    const options = parseStartOptions(args)
    if (options.help) {
      process.stdout.write(usage)
      return exitCodes.completed
    }
    return await runStack(
      options,
      createTerminal(
        text => process.stdout.write(text),
        text => process.stderr.write(text),
      ),
      interruption.signal,
    )
  } catch (error) {
    if (interruption.signal.aborted) {
      process.stderr.write(`Ended (${(interruption.signal.reason as Interrupted).message}).\n`)
      return exitCodes.interrupted
    }
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`${message}\n`)
    if (error instanceof UsageError) return exitCodes.usage
    if (environmentErrors.some(kind => error instanceof kind)) return exitCodes.environment
    if (error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`)
    return exitCodes.notCompleted
  }
}

process.exitCode = await main(process.argv.slice(2))
