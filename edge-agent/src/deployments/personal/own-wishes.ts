import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Personalise } from '@tributary/contracts/personalisation'
import * as z from 'zod'
import { writeAtomically } from '../../state/atomic-file.ts'

const OwnWishesFile = z.array(z.strictObject({ model: z.string().min(1).max(200), wish: Personalise })).max(64)
const mostBytes = 256 * 1024

/** What the owner wishes deployed versions to be fitted with, by name of the model. */
export type OwnWishes = ReadonlyMap<string, Personalise>

const fileIn = (folder: string): string => join(folder, 'own-wishes.json')

/** None where there is no file, or one that makes no sense. @param folder of deployments */
export const readOwnWishes = async (folder: string): Promise<OwnWishes> => {
  try {
    const file = fileIn(folder)
    if ((await stat(file)).size > mostBytes) return new Map()
    const wishes = OwnWishesFile.parse(JSON.parse(await readFile(file, 'utf8')))
    return new Map(wishes.map(({ model, wish }) => [model, wish]))
  } catch {
    return new Map()
  }
}

export const writeOwnWishes = (folder: string, wishes: OwnWishes): Promise<void> => {
  const content: z.input<typeof OwnWishesFile> = [...wishes].map(([model, wish]) => ({ model, wish }))
  return writeAtomically(fileIn(folder), JSON.stringify(content))
}
