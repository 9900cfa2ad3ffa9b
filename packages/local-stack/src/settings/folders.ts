import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readlink, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { StackEnvironment } from './config.ts'

/** Where a stack keeps what it unpacked (per user) and what it knows (per clone and port base). No path has a space. */
export interface StackFolders {
  /** Unpacked binaries, shared by all clones of this user. */
  readonly cache: string
  /** Databases, keys, objects and logs of this clone and port base. */
  readonly state: string
  /** Log files of the services, in `state`. */
  readonly logs: string
}

/** A folder that must be ours alone belongs to someone else, or is a link. */
export class UnsafeFolderError extends Error {
  constructor(folder: string, fault: string) {
    super(`${folder} ${fault}; remove it, or name other folders in TRIBUTARY_CACHE_DIR and TRIBUTARY_STATE_DIR`)
    this.name = 'UnsafeFolderError'
  }
}

// RabbitMQ's shell scripts and Erlang's command line break on anything else.
const plainPath = /^[A-Za-z0-9/._+@-]+$/
// Postgres as another uid must be able to pass through; for root every folder up to the data is passable.
const rootFolder = '/var/lib/tributary'

/** The two roots for this user, before anything is created. */
export function userFolders(environment: StackEnvironment): {
  cache: string
  state: string
  shared: string | undefined
} {
  const { home, uid } = environment
  if (uid === 0) {
    return {
      cache: environment.cacheDir ?? `${rootFolder}/cache`,
      state: environment.stateDir ?? `${rootFolder}/state`,
      shared: undefined,
    }
  }
  const shared = `/var/tmp/tributary-${uid}`
  const cache = environment.cacheDir ?? join(environment.xdgCacheHome ?? join(home, '.cache'), 'tributary')
  const state = environment.stateDir ?? join(environment.xdgStateHome ?? join(home, '.local', 'state'), 'tributary')
  const plain = (path: string, name: string) => (plainPath.test(path) ? path : join(shared, name))
  const found = { cache: plain(cache, 'cache'), state: plain(state, 'state') }
  return { ...found, shared: plainPath.test(cache) && plainPath.test(state) ? undefined : shared }
}

/** `default`, or the port base: the name of a stack inside its clone. */
export function stackName(portBase: number | undefined): string {
  return portBase === undefined ? 'default' : String(portBase)
}

/**
 * Creates the folders of the stack of this clone and port base, and points `<clone>/.tributary/<default | port base>` to its
 * state: a symbolic link, or where links are not allowed a file `….path` that holds the path. A clone that cannot be written gets none.
 *
 * @throws UnsafeFolderError when a shared temporary folder is not ours.
 */
export async function prepareFolders(
  clone: string,
  portBase: number | undefined,
  environment: StackEnvironment,
): Promise<StackFolders> {
  const roots = userFolders(environment)
  for (const path of [roots.cache, roots.state]) {
    if (!plainPath.test(path))
      throw new UnsafeFolderError(path, 'has a space or another character that RabbitMQ cannot take')
  }
  if (roots.shared) await makePrivate(roots.shared, environment.uid)
  const realClone = await realpath(clone)
  const id = createHash('sha256')
    .update(`${realClone}\0${stackName(portBase)}`)
    .digest('hex')
    .slice(0, 16)
  const state = join(roots.state, id)
  // For root the folder is passable, because Postgres runs under another uid; what is secret in it has a mode of its own.
  const root = environment.uid === 0
  await mkdir(roots.cache, { recursive: true, mode: root ? 0o755 : 0o700 })
  await mkdir(state, { recursive: true, mode: root ? 0o711 : 0o700 })
  if (root) {
    // The mask of the shell may have taken these rights away.
    for (const folder of [dirname(roots.cache), roots.cache]) await addMode(folder, 0o755)
    for (const folder of [roots.state, state]) await addMode(folder, 0o711)
  }
  const logs = join(state, 'logs')
  await mkdir(logs, { recursive: true, mode: 0o700 })
  await pointTo(join(realClone, '.tributary'), stackName(portBase), state)
  return { cache: await realpath(roots.cache), state: await realpath(state), logs: await realpath(logs) }
}

async function addMode(folder: string, mode: number): Promise<void> {
  const found = await stat(folder)
  if (found.uid === 0 && (found.mode & mode) !== mode) await chmod(folder, (found.mode & 0o7777) | mode)
}

async function makePrivate(folder: string, uid: number): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(folder)
  if (!found.isDirectory()) throw new UnsafeFolderError(folder, 'is not a folder')
  if (found.uid !== uid) throw new UnsafeFolderError(folder, `belongs to another user (${found.uid})`)
  if ((found.mode & 0o077) !== 0) throw new UnsafeFolderError(folder, 'can be entered by other users')
}

async function pointTo(folder: string, name: string, state: string): Promise<void> {
  const link = join(folder, name)
  try {
    await mkdir(folder, { recursive: true })
    if ((await readlink(link).catch(() => undefined)) === state) return
    await rm(link, { force: true })
    await symlink(state, link)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS') return
    await writeFile(`${link}.path`, `${state}\n`).catch(() => undefined)
  }
}
