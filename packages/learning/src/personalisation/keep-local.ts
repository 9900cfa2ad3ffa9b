import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import { fitsPattern } from '@tributary/tensors/name-pattern'
import { batchNormByName, layerOf } from './batch-norm.ts'
import { KeepLocalError } from './keep-local-error.ts'

/** What a forward graph tells of its tensors beyond the manifest. */
export type GraphFacts = {
  /** Parameters and statistics of its BatchNormalization nodes. */
  readonly batchNorm: ReadonlySet<string>
  /** Names of tensors in the order in which nodes read them first. */
  readonly order: readonly string[]
}

/** A manifest with what a task keeps local, and what each of its patterns stands for. */
export type KeptManifest = {
  readonly manifest: Manifest
  readonly patterns: readonly { readonly pattern: string; readonly tensors: readonly string[] }[]
  /** All of them, in the order of the manifest. */
  readonly kept: readonly string[]
}

const lastLayers = /^last-layers:([1-9]\d{0,5})$/

/**
 * The manifest of a task that keeps tensors on its devices: those that a pattern names, and that the model's manifest would send, become
 * `keep-local`. What is frozen stays so. Patterns are globs over names; `batch-norm` is FedBN (Li et al. 2021, section 3),
 * `last-layers:N` is FedPer (Arivazhagan et al. 2019, section 3): a layer is what shares a name up to the last `.` or `/`.
 * @param graph where the model has one: then batch normalisations are known, and layers come in the order of the forward pass
 * @throws KeepLocalError for a pattern that names no tensor that is sent, and where nothing would be sent any more
 */
export const keepLocally = (manifest: Manifest, patterns: readonly string[], graph?: GraphFacts): KeptManifest => {
  const sent = manifest.tensors.filter(isSent)
  const chosen = patterns.map(pattern => {
    const names = namesOf(pattern, manifest.tensors, graph)
    const tensors = sent.filter(({ name }) => names.has(name)).map(({ name }) => name)
    if (tensors.length === 0) {
      throw new KeepLocalError(pattern, `${quote(pattern)} names no tensor that devices send${known(pattern, sent)}`)
    }
    if (isEverything(new Set(tensors), sent)) throw new KeepLocalError(pattern, `${quote(pattern)} names ${everything}`)
    return { pattern, tensors }
  })
  const kept = new Set(chosen.flatMap(({ tensors }) => tensors))
  if (isEverything(kept, sent)) throw new KeepLocalError(null, `the patterns together name ${everything}`)
  const tensors = manifest.tensors.map(tensor =>
    kept.has(tensor.name) ? { ...tensor, policy: 'keep-local' as const } : tensor,
  )
  return {
    manifest: { ...manifest, tensors },
    patterns: chosen,
    kept: sent.filter(({ name }) => kept.has(name)).map(({ name }) => name),
  }
}

const isSent = ({ policy }: ManifestTensor): boolean => policy === 'average' || policy === 'max'

/** Whether no tensor is left that the server optimiser moves. */
const isEverything = (kept: ReadonlySet<string>, sent: readonly ManifestTensor[]): boolean =>
  sent.every(({ name, policy, buffer }) => kept.has(name) || policy !== 'average' || buffer === true)

const everything = 'every tensor that is averaged: nothing would be learnt together'

const namesOf = (
  pattern: string,
  tensors: readonly ManifestTensor[],
  graph: GraphFacts | undefined,
): ReadonlySet<string> => {
  if (pattern === 'batch-norm') return new Set([...(graph?.batchNorm ?? []), ...batchNormByName(tensors)])
  const [, count] = lastLayers.exec(pattern) ?? []
  if (count !== undefined) return namesOfLastLayers(Number(count), tensors, graph)
  return new Set(tensors.filter(({ name }) => fitsPattern(pattern, name)).map(({ name }) => name))
}

/** Layers in the order of their last tensor; one that sends nothing does not count. */
const namesOfLastLayers = (
  count: number,
  tensors: readonly ManifestTensor[],
  graph: GraphFacts | undefined,
): ReadonlySet<string> => {
  const places = new Map((graph?.order ?? []).map((name, place) => [name, place]))
  const placed = tensors
    .filter(isSent)
    .map(({ name }, index) => ({ name, layer: layerOf(name) || name, place: places.get(name) ?? -1, index }))
    .sort((a, b) => a.place - b.place || a.index - b.index)
  const layers = new Set([...new Set(placed.map(({ layer }) => layer).reverse())].slice(0, count))
  return new Set(placed.filter(({ layer }) => layers.has(layer)).map(({ name }) => name))
}

const known = (pattern: string, sent: readonly ManifestTensor[]): string => {
  if (pattern === 'batch-norm') return ': the model has no batch normalisation'
  const names = sent.slice(0, 8).map(({ name }) => quote(name))
  return `; they are ${names.join(', ')}${sent.length > names.length ? ', …' : ''}`
}

const quote = (name: string): string => JSON.stringify(name.slice(0, 80))
