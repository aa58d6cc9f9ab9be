/** Recipes of hostile requests as fast-check chooses, and shrinks, them. */
import fc from 'fast-check';
import type { Recipe } from '../attack/smuggling/recipe.ts';

export const recipes: fc.Arbitrary<Recipe> = fc.record({
  base: fc.nat(13),
  mutations: fc.array(fc.tuple(fc.nat(63), fc.double({ min: 0, max: 0.999_999, noNaN: true }), fc.nat(9_999)), {
    maxLength: 4,
  }),
});
