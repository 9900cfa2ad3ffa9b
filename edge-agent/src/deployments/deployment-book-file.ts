import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BookPage } from './deployment-book.ts'

const mostBytes = 1024 * 1024

/** The file in the folder of deployments that remembers them. */
export const bookFile = (folder: string): string => join(folder, 'deployments.json')

/** What was remembered; undefined where nothing was, or where the file is damaged. */
export const readBookPage = async (folder: string): Promise<BookPage | undefined> => {
  const file = bookFile(folder)
  try {
    if ((await stat(file)).size > mostBytes) return undefined
    const parsed = BookPage.safeParse(JSON.parse(await readFile(file, 'utf8')))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}
