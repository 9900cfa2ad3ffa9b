import { deriveSeed } from './seed.ts'

/**
 * Whether a device is in the share of a deployment: by the ids alone, so that whoever asks gets the same answer, a growing share only
 * adds devices, and another deployment begins with others.
 * @param share 0 nobody, 1 everybody
 */
export function inDeploymentShare(deployment: string, device: string, share: number): boolean {
  const seed = deriveSeed('deployment-share', deployment, device)
  // 48 bits: exact in float64, and below 1 always.
  const drawn = seed.subarray(0, 6).reduce((number, byte) => number * 256 + byte, 0) / 2 ** 48
  return drawn < share
}
