import { randomInt } from 'node:crypto'

/** Draws a seed for a task that brings none; kept in its settings, so that the task can be repeated. */
export const drawSeed = (): number => randomInt(2 ** 32)

/** The seed in hex, as descriptors carry it: the same number gives the same seeds on every device. */
export const seedText = (seed: number): string => seed.toString(16).padStart(8, '0')
