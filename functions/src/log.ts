import pino from 'pino'

export type Log = pino.Logger

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
    pino.destination({ dest: 1, sync: true }),
  )
