import type { AffineTerm } from './optimiser.ts'

/**
 * The correction c − cᵢ of the drift between clients: added to every gradient, the same in every step of a round.
 * Karimireddy et al. 2020 (SCAFFOLD), Algorithm 1
 * @param correction name of c − cᵢ
 */
export const scaffoldTerm = (correction: string): AffineTerm => ({ decay: 0, drift: correction })
