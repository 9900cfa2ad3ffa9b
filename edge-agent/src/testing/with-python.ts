import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

/**
 * Runs a test that needs an interpreter; without it the test is skipped by name, but never under CI.
 * @param what is missing, for people
 */
export const withPython =
  (what: string, find: () => Promise<string | undefined>, run: (python: string) => Promise<void>) =>
  async (context: TestContext): Promise<void> => {
    const python = await find()
    if (python !== undefined) return run(python)
    assert.ok(process.env.CI === undefined, `CI has no Python with ${what}`)
    context.skip(`there is no Python with ${what}`)
  }
