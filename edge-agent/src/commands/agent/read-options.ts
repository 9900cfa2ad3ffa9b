import { type ParseArgsConfig, parseArgs } from 'node:util'
import { UsageError } from '../usage-error.ts'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<Given extends Options> = ReturnType<
  typeof parseArgs<{ options: Given & { help: { type: 'boolean'; short: 'h' } } }>
>['values']

/** The options of a command line, `--help` among them. Throws UsageError for those that there are none of, and for other words. */
export const readOptions = <const Given extends Options>(line: readonly string[], options: Given): Values<Given> => {
  try {
    const known = { ...options, help: { type: 'boolean', short: 'h' } } as const
    return parseArgs({ args: [...line], options: known, strict: true }).values as Values<Given>
  } catch (cause) {
    throw new UsageError((cause as Error).message.split(/\.( |$)/)[0] ?? '', { cause })
  }
}
