import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Uuid } from '@tributary/contracts/ids'
import * as z from 'zod'
import { writeAtomically } from '../../state/atomic-file.ts'

const ForgetRequest = z.strictObject({ deployments: z.array(Uuid).max(1024).readonly() })
const mostBytes = 64 * 1024

const fileIn = (folder: string): string => join(folder, 'forget.json')

/** Has the agent, now or when it starts, forget what it fitted. @param folder of deployments */
export const writeForgetRequest = (folder: string, deployments: readonly string[]): Promise<void> =>
  writeAtomically(fileIn(folder), JSON.stringify({ deployments } satisfies z.input<typeof ForgetRequest>))

/** What the owner wants forgotten; undefined where nothing is, and where the file makes no sense. */
export const readForgetRequest = async (folder: string): Promise<readonly string[] | undefined> => {
  try {
    const file = fileIn(folder)
    if ((await stat(file)).size > mostBytes) return undefined
    return ForgetRequest.parse(JSON.parse(await readFile(file, 'utf8'))).deployments
  } catch {
    return undefined
  }
}

/** It was done, and what follows from it is on disk. */
export const removeForgetRequest = (folder: string): Promise<void> => rm(fileIn(folder), { force: true })
