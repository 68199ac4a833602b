# In the place of nixpkgs, for flake-eval.nix: what flake.nix takes from it.
{ system, overlays }:
builtins.foldl' (pkgs: overlay: pkgs // overlay pkgs pkgs) {
  makeRustPlatform =
    { cargo, rustc }:
    {
      buildRustPackage = package: package // { inherit system cargo; };
    };
  mkShell = shell: shell;
  grpcurl = "grpcurl";
  nixfmt = "nixfmt";
} overlays
