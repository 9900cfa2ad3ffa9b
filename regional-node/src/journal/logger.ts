import { type Logger, pino } from 'pino'

export type { Logger }

/** Structured log of the process, JSON lines on standard output. */
export const createLogger = (level: string, node: string): Logger =>
  pino({ level, base: { service: 'regional-node', node }, timestamp: pino.stdTimeFunctions.isoTime })
