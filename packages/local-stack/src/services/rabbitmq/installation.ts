import { readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type DebianRecipe, hasDebianPackages, unpackDebianPackages, unpackedBefore } from '../debian-packages.ts'
import { findOnPath } from '../find-on-path.ts'
import type { ServiceContext } from '../service-context.ts'

/** Where RabbitMQ's and Erlang's files are. */
export interface RabbitInstallation {
  readonly label: string
  /** Folder with `sbin/` and `plugins/`. */
  readonly home: string
  /** Folder with `erl`, goes first into PATH. */
  readonly erlangBin: string
  readonly epmd: string
  readonly libraryPath: string | undefined
}

const recipe: DebianRecipe = {
  service: 'RabbitMQ',
  name: 'rabbitmq-1',
  install: ['rabbitmq-server'],
  keep: /^(rabbitmq-server|erlang-.*|libssl\d.*|libtinfo\d+|libncurses.*|libstdc\+\+6|libgcc-s1|zlib1g|libsystemd0|libcap2|libgcrypt20|libgpg-error0|liblz4-1|liblzma5|libzstd1)(t64)?$/,
  adapt: moveErlang,
}

/** Debian's packages, unpacked into the cache; undefined where there is no apt. */
export async function debianInstallation(context: ServiceContext): Promise<RabbitInstallation | undefined> {
  const before = await unpackedBefore(recipe, context)
  if (!before && !(await hasDebianPackages(context))) return undefined
  const root = before ?? (await unpackDebianPackages(recipe, context))
  const home = await newestIn(join(root, 'usr/lib/rabbitmq/lib'))
  if (!home) throw new Error(`Debian's rabbitmq-server in ${root} has no server; remove that folder and start again`)
  const libraries = join(root, 'usr/lib')
  const triplet = (await readdir(libraries)).find(name => name.includes('-linux-gnu'))
  return {
    label: `RabbitMQ ${versionOf(home)} from Debian's packages`,
    home,
    erlangBin: join(root, 'usr/lib/erlang/bin'),
    epmd: join(root, 'usr/lib/erlang/bin/epmd'),
    libraryPath: triplet && join(libraries, triplet),
  }
}

/** RabbitMQ that a package manager installed here: Homebrew's, or Debian's own. */
export async function systemInstallation(context: ServiceContext): Promise<RabbitInstallation | undefined> {
  const erl = await findOnPath('erl', context.environment.path)
  for (const prefix of [
    '/opt/homebrew/opt/rabbitmq',
    '/usr/local/opt/rabbitmq',
    '/home/linuxbrew/.linuxbrew/opt/rabbitmq',
  ]) {
    const brewed = dirname(dirname(prefix))
    const home = (await isFile(join(prefix, 'sbin/rabbitmq-server'))) ? prefix : undefined
    const erlang = join(brewed, 'bin')
    if (home && (await isFile(join(erlang, 'erl')))) {
      return {
        label: 'RabbitMQ from Homebrew',
        home,
        erlangBin: erlang,
        epmd: join(erlang, 'epmd'),
        libraryPath: undefined,
      }
    }
  }
  const home = await newestIn('/usr/lib/rabbitmq/lib')
  const epmd = await findOnPath('epmd', context.environment.path)
  if (!home || !erl || !epmd) return undefined
  return {
    label: `RabbitMQ ${versionOf(home)} of this machine`,
    home,
    erlangBin: dirname(erl),
    epmd,
    libraryPath: undefined,
  }
}

async function newestIn(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => [])
  const servers = names.filter(name => name.startsWith('rabbitmq_server-'))
  const newest = servers.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  return newest && (await isFile(join(folder, newest, 'sbin/rabbitmq-server'))) ? join(folder, newest) : undefined
}

function versionOf(home: string): string {
  return home.slice(home.lastIndexOf('-') + 1)
}

/** Erlang's scripts hold the path where the package belongs. */
async function moveErlang(unpacked: string, root: string): Promise<void> {
  const erlang = join(unpacked, 'usr/lib/erlang')
  const erts = (await readdir(erlang)).find(name => name.startsWith('erts-'))
  if (!erts) throw new Error("Debian's erlang-base has no runtime system (erts)")
  for (const script of [
    join(erlang, 'bin/erl'),
    join(erlang, erts, 'bin/erl'),
    join(erlang, 'bin/start'),
    join(erlang, erts, 'bin/start'),
  ]) {
    if (!(await isFile(script))) continue
    const text = await readFile(script, 'utf8')
    await writeFile(script, text.replaceAll('/usr/lib/erlang', join(root, 'usr/lib/erlang')))
  }
  await relink(unpacked, join(unpacked, 'usr/lib'))
}

/** Absolute links of a package point to the machine's own files; here they must stay inside. */
async function relink(unpacked: string, folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await relink(unpacked, path)
    if (!entry.isSymbolicLink()) continue
    const target = await readlink(path)
    if (!target.startsWith('/') || !(await stat(join(unpacked, target)).catch(() => undefined))) continue
    const up = path.slice(unpacked.length + 1).split('/').length - 1
    await rm(path)
    await symlink(`${'../'.repeat(up)}${target.slice(1)}`, path)
  }
}

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isFile(),
    () => false,
  )
}
