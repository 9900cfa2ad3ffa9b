import pino from 'pino'

export type Log = pino.Logger

const stdout = pino.destination({ dest: 1, sync: true })

/** One more line among those of the log, whole and at once. */
export const writeLine = (line: string): void => void stdout.write(`${line}\n`)

/** JSON lines on stdout, written at once: a frozen function must not keep lines in memory. */
export const createLog = (level: string, name: string): Log =>
  pino(
    {
      level,
      base: { function: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { error: pino.stdSerializers.errWithCause },
      redact: { paths: ['authorization', '*.authorization', '*.csr', '*.logKey'], censor: 'hidden' },
    },
    stdout,
  )
