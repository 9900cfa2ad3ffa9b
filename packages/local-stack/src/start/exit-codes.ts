/** Exit codes of `npm start`; the bootstrap and the README use the same. */
export const exitCodes = { completed: 0, notCompleted: 1, usage: 2, environment: 3, interrupted: 130 } as const
