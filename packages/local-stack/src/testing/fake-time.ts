import { readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DebianRecipe, hasDebianPackages, unpackDebianPackages } from '../services/debian-packages.ts'
import { testContext } from '../services/testing.ts'

const recipe: DebianRecipe = {
  service: 'a clock',
  name: 'libfaketime-1',
  install: ['libfaketime'],
  keep: /^libfaketime$/,
}

/** A wall clock for whole processes, OpenSSL included, other than `shiftedClock`: certificates end by it. */
export type FakeTime = {
  /** Variables that give a process and what it starts this clock. */
  readonly env: Readonly<Record<string, string>>
  /** Steps the clock so many days from the machine's; running processes see it at once. */
  readonly shift: (days: number) => Promise<void>
}

/**
 * libfaketime of Debian, unpacked without root. Undefined where there are no Debian packages.
 * @param file that holds the shift
 */
export const fakeTime = async (file: string): Promise<FakeTime | undefined> => {
  await using context = await testContext()
  if (process.platform !== 'linux' || !(await hasDebianPackages(context))) return undefined
  const libraries = join(await unpackDebianPackages(recipe, context), 'usr', 'lib')
  const found = (await readdir(libraries, { recursive: true })).find(name => name.endsWith('/libfaketimeMT.so.1'))
  if (found === undefined) throw new Error(`libfaketime is not in ${libraries}`)
  const shift = async (days: number): Promise<void> => {
    await writeFile(`${file}.draft`, `${days < 0 ? '' : '+'}${days}d`)
    await rename(`${file}.draft`, file)
  }
  await shift(0)
  return {
    env: {
      LD_PRELOAD: join(libraries, found),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      // Timers are no part of it.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    shift,
  }
}
